"""The tokens that the service uses: open sessions, and what the tokens say of themselves."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from time import perf_counter
from typing import Any, Final

from trust_otel import forks
from trust_otel.instrumentation.pkcs11.module import Module, TokenInfo
from trust_otel.metrics.pkcs11 import TokenState
from trust_otel.metrics.recorder import Recorder
from trust_otel.recording.fail_open import fail_open

_SECONDS: Final = 15.0
"""Time between two readings, that of an export."""

_SLOW_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 600.0
"""Time until the next reading after a slow one."""

_OLD_SECONDS: Final = 300.0
"""Age of a reading from which it says nothing about the present."""


class Tokens:
    """Sessions by token, and the last readings.

    Args:
        recorder: Records the state at each collection.

    Attributes:
        due_at: When `read_if_due` reads next, on the clock of `perf_counter`.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._dropped = recorder.instruments.dropped
        self._lock = forks.released_in_child(threading.Lock())
        self._modules: set[str] = set()
        self._forget()
        forks.in_child(forks.Step.STATE, self._forget)
        recorder.pkcs11.observe_tokens(self._states, self._current_slots)

    def _forget(self) -> None:
        # A forked process has no sessions: it must initialize the module anew.
        self._sessions: defaultdict[str, set[int]] = defaultdict(set)
        self._infos: dict[str, TokenInfo] = {}
        self._slots: Mapping[str, int] = {}
        self._read_at = -_OLD_SECONDS
        self.due_at = 0.0

    def loaded(self, path: str) -> None:
        """Note a module that the service has loaded."""
        self._modules.add(path)

    @fail_open
    def opened(self, session: Any) -> None:
        """Note a session that was opened."""
        with self._lock:
            self._sessions[session.token.label].add(session.handle)

    @fail_open
    def closed(self, session: Any) -> None:
        """Note a session that was closed."""
        with self._lock:
            self._sessions[session.token.label].discard(session.handle)

    def all_closed(self) -> None:
        """Note that a module was finalized, which closes all sessions."""
        with self._lock:
            for handles in self._sessions.values():
                handles.clear()

    @fail_open
    def read_if_due(self, token: Any) -> None:
        """Read slots and tokens, right after the module has answered the service in this thread."""
        now = perf_counter()
        if now < self.due_at:
            return
        self.due_at = now + _SECONDS
        # Of several modules, another thread may just be calling one.
        if len(self._modules) != 1:
            return
        (path,) = self._modules
        with suppress(OSError, AttributeError):  # unloaded meanwhile; or a system without RTLD_NOLOAD
            module = Module(path)
            try:
                self._slots, info = module.slots(), module.token(token.slot.slot_id)
            finally:
                module.close()
            if info is not None:
                self._infos[token.label] = info
            self._read_at = perf_counter()
            if self._read_at - now > _SLOW_SECONDS:
                self.due_at = self._read_at + _PAUSE_SECONDS

    def _states(self) -> Iterable[TokenState]:
        current = self._is_current()
        with self._lock:
            sessions = {label: len(handles) for label, handles in self._sessions.items()}
        for label, number in sessions.items():
            info = self._infos.get(label)
            yield TokenState(
                label,
                number,
                max_sessions=info.max_sessions if info else None,
                free_memory=info.free_memory if info and current else {},
            )

    def _current_slots(self) -> Mapping[str, int]:
        return self._slots if self._is_current() else {}

    def _is_current(self) -> bool:
        return perf_counter() - self._read_at < _OLD_SECONDS
