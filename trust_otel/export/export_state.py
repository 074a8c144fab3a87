"""Logs one line when the exports of a signal begin to fail, and one when they work again."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final
from weakref import WeakSet

_logger = logging.getLogger(__name__)

STEADY_SECONDS: Final = 300.0
QUICK_CHANGES: Final = 5


_states: WeakSet[ExportState] = WeakSet()
_SIGNALS_OF_QUEUES: Final = {"Span": "spans", "Log": "log records"}


class ExportState:
    """Whether an endpoint accepts the exports of a signal.

    A signal that began to fail `QUICK_CHANGES` times within `STEADY_SECONDS` counts as working again only after exports
    have worked for `STEADY_SECONDS`: an endpoint that refuses some exports and accepts others does not flood the log.

    Args:
        signal: `metrics`, `spans` or `log records`.
        ending: Whether the last export has begun, of which `Shutdown` reports the failure.
        clock: Seconds of a clock that is never set.

    Attributes:
        signal: As above.
        problem: Why the last export was not accepted, or not as a whole; `None` if it was.
    """

    def __init__(self, signal: str, ending: Callable[[], bool], clock: Callable[[], float] = monotonic) -> None:
        self.signal = signal
        self._ending = ending
        self._clock = clock
        self.restart()
        _states.add(self)

    def restart(self) -> None:
        """Forget what failed, in a forked process: its parent has logged it."""
        self.problem: str | None = None
        self._failing_since: float | None = None
        self._last_failure = 0.0
        self._beginnings: deque[float] = deque(maxlen=QUICK_CHANGES)

    @property
    def failing(self) -> bool:
        """Whether it was logged that exports fail, and not yet that they work again."""
        return self._failing_since is not None

    def failed(self, problem: str, *, in_part: bool = False) -> None:
        """Note that an export was not accepted.

        Args:
            problem: The reason.
            in_part: Whether only a part of the export was not accepted.
        """
        self.problem, self._last_failure = problem, self._clock()
        if self._failing_since is None and not self._ending():
            self._failing_since = self._last_failure
            self._beginnings.append(self._last_failure)
            _logger.warning(
                "trust-otel: %s %s exported: %s. Another line follows when exports work again",
                self.signal,
                "are only in part" if in_part else "cannot be",
                problem,
            )

    def accepted(self) -> None:
        """Note that an export was accepted as a whole."""
        self.problem = None
        if self._failing_since is None:
            return
        now = self._clock()
        quick = len(self._beginnings) == QUICK_CHANGES and now - self._beginnings[0] < STEADY_SECONDS
        if quick and now - self._last_failure < STEADY_SECONDS:
            return
        seconds, self._failing_since = now - self._failing_since, None
        _logger.warning("trust-otel: %s are exported again, after %.0f seconds", self.signal, seconds)


class QueueFullFilter(logging.Filter):
    """Passes the SDK's message about a full queue once in `STEADY_SECONDS`, and not while exports fail."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._passed: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        if not str(record.msg).startswith("Queue full") or not isinstance(record.args, tuple):
            return True
        kind = str(record.args[0])
        signal = _SIGNALS_OF_QUEUES.get(kind)
        now = self._clock()
        if any(each.failing for each in tuple(_states) if each.signal == signal):
            return False
        if kind in self._passed and now - self._passed[kind] < STEADY_SECONDS:
            return False
        self._passed[kind] = now
        return True
