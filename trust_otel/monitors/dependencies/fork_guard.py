"""No check is under way while the process forks.

A child would inherit what the thread of the check held: a connection, the lock of a half imported module, or a call of
gRPC, whose library then crashes or hangs in the child (grpc/grpc, doc/fork_support.md). So a fork calls the checks off,
and waits for their end.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from trust_otel.monitors.dependencies.checks import Check

_PATIENCE_SECONDS = 1.0
"""How long a fork waits at most; an import takes a part of it, everything else a few milliseconds."""


class _Gate:
    """Lets any number of checks in, or one fork."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._running: set[Check] = set()
        self._forking = False

    @contextmanager
    def check(self, check: Check) -> Iterator[None]:
        with self._change:
            self._change.wait_for(lambda: not self._forking)
            self._running.add(check)
        try:
            yield
        finally:
            with self._change:
                self._running.discard(check)
                self._change.notify_all()

    def before_fork(self) -> None:
        # Held until the fork is over: in the child, no thread could give it back.
        self._change.acquire()
        self._forking = True
        for check in self._running:
            check.call_off()
        self._change.wait_for(lambda: not self._running, _PATIENCE_SECONDS)

    def after_fork_in_parent(self) -> None:
        self._forking = False
        self._change.notify_all()
        self._change.release()

    def after_fork_in_child(self) -> None:
        self._running.clear()
        self.after_fork_in_parent()


_gate = _Gate()


def excluded(check: Check) -> AbstractContextManager[None]:
    """Keep the process from forking until the check has ended; a fork calls it off."""
    return _gate.check(check)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_gate.before_fork,
        after_in_parent=_gate.after_fork_in_parent,
        after_in_child=_gate.after_fork_in_child,
    )
