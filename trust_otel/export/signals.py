"""Runs the last export when a signal is about to terminate the process by its default action.

By default SIGTERM terminates Python immediately, and everything since the previous export is lost. A handler in Python
would be visible to the program: `signal.getsignal` would return it, a handler of the program or of native code that
chains to the previous one would call it, and it would not run while the main thread is in native code. Blocking the
signal and waiting for it in a thread does not work: child processes inherit the mask.

`faulthandler.register` sets a handler in C that Python code does not see. It only writes to a pipe; a thread reads
the pipe, exports, restores the default action and sends the signal again. The handler is installed only while the
signal has its default action: a handler of the program replaces it. If native code sets a handler that chains to this
one, the thread detects that and does nothing.

SIGINT is treated the same. Python sets a handler for it, but gunicorn restores the default action in its workers.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from types import FrameType
from typing import Any

from trust_otel.background import signals_blocked

_logger = logging.getLogger(__name__)

_NUMBERS = (signal.SIGTERM, signal.SIGINT)

_DEFAULT_ACTION = 0
_READ_SIZE = 65_536
_LOWEST_NUMBER = 500


class ExportOnSignal:
    """Runs the last export when a signal is about to end the process.

    Args:
        number: The signal.
        shut_down: Runs the last export; returns within `seconds`.
        seconds: Timeout of the last export.
    """

    def __init__(self, number: signal.Signals, shut_down: Callable[[], None], seconds: float) -> None:
        self.number = number
        self._shut_down = shut_down
        self._seconds = seconds
        self._handler: int | None = None
        self._pipe: tuple[int, int] | None = None
        self._terminating = threading.Event()

    def install(self) -> None:
        """Set the handler if the signal has its default action."""
        # For process 1, the kernel ignores a signal with the default action.
        if self._terminating.is_set() or os.getpid() == 1:
            return
        if signal.getsignal(self.number) is signal.SIG_DFL and _handler_address(self.number) == _DEFAULT_ACTION:
            # It is still registered if the program set a handler and then the default action again.
            faulthandler.unregister(self.number)
            self._register()
            self._handler = _handler_address(self.number)

    def uninstall(self) -> None:
        """Restore the default action: the signal terminates the process immediately from now on."""
        if self.installed:
            faulthandler.unregister(self.number)

    @property
    def installed(self) -> bool:
        """Whether the handler is active: neither the program nor native code has set another one."""
        return self._handler is not None and _handler_address(self.number) == self._handler

    def restart_after_fork(self) -> None:
        """Create a pipe and a thread for a child process."""
        # First uninstall: until then, the signal in the child would terminate its parent, whose pipe it inherited. Do
        # not close the pipe: a program that becomes a daemon may have closed it before, and reused the file descriptor.
        self.uninstall()
        self._pipe, self._terminating = None, threading.Event()
        self.install()

    @property
    def received(self) -> bool:
        """Whether the signal is terminating the process."""
        return self._terminating.is_set()

    def wait_for_end(self) -> None:
        """Wait until the signal terminates the process; returns only if that failed."""
        threading.Event().wait(self._seconds + 1)

    def _register(self) -> None:
        if self._pipe is None:
            self._pipe = _pipe_with_high_numbers()
            os.set_blocking(self._pipe[1], False)
            thread = threading.Thread(
                target=self._watch,
                args=(self._pipe[0], self._terminating),
                name=f"trust-otel-{self.number.name.lower()}",
                daemon=True,
            )
            with signals_blocked():
                thread.start()
        faulthandler.register(self.number, file=self._pipe[1], all_threads=False, chain=False)

    def _replace_pipe(self) -> None:
        self.uninstall()
        self._pipe = None
        with suppress(OSError, RuntimeError):
            self.install()

    def _watch(self, pipe: int, terminating: threading.Event) -> None:
        while not terminating.is_set():
            if not _read(pipe):
                self._replace_pipe()
                return
            if self.installed:
                terminating.set()
        # A second signal must not interrupt the last export, which has a timeout: if every process of a service gets
        # the signal, as from systemd, the workers also get one from their parent.
        try:
            self._shut_down()
        finally:
            self.uninstall()
            os.kill(os.getpid(), self.number)


def _pipe_with_high_numbers() -> tuple[int, int]:
    """Create a pipe with high file descriptors.

    The handler writes to a file descriptor. A program that closes all of them, as a daemon does, soon reuses low
    numbers, but never high ones.
    """
    import fcntl
    import resource

    ends = os.pipe()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    lowest = min(_LOWEST_NUMBER, limit // 2) if limit != resource.RLIM_INFINITY else _LOWEST_NUMBER
    try:
        read, write = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, lowest) for end in ends)
    finally:
        for end in ends:
            os.close(end)
    return read, write


def _read(pipe: int) -> bytes:
    """Read what the handler has written; empty if the program has closed the pipe."""
    try:
        return os.read(pipe, _READ_SIZE)
    except OSError:
        return b""


def install(shut_down: Callable[[], None], seconds: float) -> tuple[ExportOnSignal, ...]:
    """Run the last export before a signal terminates the process; empty if the platform does not support it."""
    if not hasattr(faulthandler, "register") or not hasattr(signal, "pthread_sigmask"):
        return ()
    try:
        on_signals = tuple(ExportOnSignal(number, shut_down, seconds) for number in _NUMBERS)
        for each in on_signals:
            each.install()
    except (ImportError, OSError, RuntimeError) as error:
        _logger.warning("trust-otel: SIGTERM terminates the process without a last export (%s)", error)
        return ()
    _follow_program({each.number: each for each in on_signals})
    return on_signals


def _follow_program(on_signals: Mapping[int, ExportOnSignal]) -> None:
    """Reinstall a handler if a program restores the default action and sends itself the signal, as uvicorn does."""
    set_handler, raise_signal = signal.signal, signal.raise_signal

    @wraps(set_handler)
    def signal_(signalnum: Any, handler: Any) -> Callable[[int, FrameType | None], Any] | int | None:
        previous = set_handler(signalnum, handler)
        if signalnum in on_signals:
            with suppress(Exception):
                on_signals[signalnum].install()
        return previous

    @wraps(raise_signal)
    def raise_signal_(signalnum: int, /) -> None:
        terminates = signalnum in on_signals and on_signals[signalnum].installed
        raise_signal(signalnum)
        if terminates:
            # With the default action, the program would not continue after this call.
            on_signals[signalnum].wait_for_end()

    signal.signal, signal.raise_signal = signal_, raise_signal_


def _handler_address(number: signal.Signals) -> int:
    """Address of the operating system's handler of a signal; 0 for the default action."""
    import ctypes

    # Larger than `struct sigaction` on any platform; its first member is the handler.
    action = (ctypes.c_void_p * 64)()
    if ctypes.CDLL(None, use_errno=True).sigaction(int(number), None, action):
        raise OSError(ctypes.get_errno(), "sigaction")
    return action[0] or _DEFAULT_ACTION
