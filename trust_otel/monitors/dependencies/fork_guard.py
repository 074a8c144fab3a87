"""Cancels running checks before the process forks.

The child would inherit the state of the checking thread: a connection, an import lock, or a gRPC call, with which the
gRPC library crashes or hangs in the child (grpc/grpc, doc/fork_support.md).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from trust_otel.monitors.dependencies.checks import Check

_TIMEOUT_SECONDS = 1.0
"""Maximum delay of a fork. Imports take a part of it, everything else a few milliseconds."""


class _Gate:
    """Readers-writer lock: any number of checks, or one fork."""

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
        # Held during the fork: in the child, no other thread could release it.
        self._change.acquire()
        self._forking = True
        for check in self._running:
            check.cancel()
        self._change.wait_for(lambda: not self._running, _TIMEOUT_SECONDS)

    def after_fork_in_parent(self) -> None:
        self._forking = False
        self._change.notify_all()
        self._change.release()

    def after_fork_in_child(self) -> None:
        self._running.clear()
        self.after_fork_in_parent()


_gate = _Gate()


def registered(check: Check) -> AbstractContextManager[None]:
    """Register a running check. A fork cancels it and waits until it has ended."""
    return _gate.check(check)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_gate.before_fork,
        after_in_parent=_gate.after_fork_in_parent,
        after_in_child=_gate.after_fork_in_child,
    )
