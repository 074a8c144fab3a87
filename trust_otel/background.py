"""Periodic tasks in background threads."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import uniform
from weakref import WeakSet

from trust_otel import forks
from trust_otel.log_safe import error_location

_logger = logging.getLogger(__name__)

_JITTER = 0.1
_MASKS = hasattr(signal, "pthread_sigmask")


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Start threads within that block every signal.

    Otherwise a program that blocks a signal and waits for it with `signal.sigwait` or a signalfd would not receive it,
    because the kernel delivers it to a thread that does not block it.
    """
    mask = block_signals()
    try:
        yield
    finally:
        restore_signals(mask)


def block_signals() -> set[int] | None:
    """Block every signal in this thread; returns the previous mask."""
    # Windows has no signal masks.
    return signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()) if _MASKS else None


def restore_signals(mask: set[int] | None) -> None:
    """Restore the mask that `block_signals` returned."""
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class Periodic:
    """Runs a task immediately and then periodically, in its own thread, until `stop`.

    Runs never overlap: a long run delays the next one. Each pause has a jitter of up to 10 %, so that many processes do
    not run at the same time.

    Args:
        name: Name of the thread.
        seconds: Time between the end of a run and the next one.
        task: The function to run; after an exception, nothing more is logged until a run succeeds.
    """

    def __init__(self, name: str, seconds: float, task: Callable[[], None]) -> None:
        self._name = name
        self._seconds = seconds
        self._task = task
        self._failing = False
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start, unless it is running."""
        if self._thread is None:
            self._stopped = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._stopped,), name=self._name, daemon=True)
            _running.add(self)
            with signals_blocked():
                self._thread.start()

    def stop(self, seconds: float = 5) -> None:
        """Stop; waits up to `seconds` for the current run."""
        thread, self._thread = self._thread, None
        self._stopped.set()
        _running.discard(self)
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    def restart_after_fork(self) -> None:
        """Start again in a child process, which has none of its parent's threads."""
        self._thread = None
        self.start()

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.is_set():
            try:
                self._task()
                self._failing = False
            except Exception as error:
                if not self._failing:
                    _logger.error("trust-otel: %s failed (%s); retrying", self._name, error_location(error))
                self._failing = True
            stopped.wait(self._seconds * uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - no secret


_running: WeakSet[Periodic] = WeakSet()


def _restart_all() -> None:
    for periodic in tuple(_running):
        periodic.restart_after_fork()


forks.in_child(forks.Step.THREADS, _restart_all)
