"""SIGTERM with its default action: the last export first, then the end by the signal.

By default SIGTERM ends Python at once, and what was recorded since the last export is lost. A handler of our own would
prevent this but change what the program sees: `signal.getsignal` would return it, a program that chains to the handler
before its own would call it, native code that chains to it would too, and it would never run while the main thread is
in native code. Blocking the signal and waiting for it in a thread does not work: child processes inherit the mask.

`faulthandler.register` sets a handler in C that Python code does not see. It only writes to a pipe; a thread reads
the pipe, exports, restores the default action and sends the signal again. The handler is in place only while the action
of SIGTERM is the default one: a handler that the program sets replaces it, and when native code has set one and chains
to ours, the thread notices that and does nothing.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from types import FrameType
from typing import Any

from trust_otel.background import signals_blocked

_logger = logging.getLogger(__name__)

_DEFAULT_ACTION = 0
_READ_SIZE = 65_536
_LOWEST_NUMBER = 500


class ExportOnSigterm:
    """Runs the last export when SIGTERM is about to end the process.

    Args:
        shut_down: The last export; returns within `seconds`.
        seconds: The deadline of the last export.
    """

    def __init__(self, shut_down: Callable[[], None], seconds: float) -> None:
        self._shut_down = shut_down
        self._seconds = seconds
        self._handler: int | None = None
        self._pipe: tuple[int, int] | None = None
        self._ending = threading.Event()

    def install(self) -> None:
        """Set the handler if SIGTERM has its default action."""
        # The kernel ignores SIGTERM with the default action for process 1.
        if self._ending.is_set() or os.getpid() == 1 or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return
        if _handler_address() == _DEFAULT_ACTION:
            # It may still count as registered when the program has set a handler and then the default action again.
            faulthandler.unregister(signal.SIGTERM)
            self._register()
            self._handler = _handler_address()

    def uninstall(self) -> None:
        """Restore the default action, so that SIGTERM ends the process at once from now on."""
        if self.installed:
            faulthandler.unregister(signal.SIGTERM)

    @property
    def installed(self) -> bool:
        """Whether SIGTERM would be received here: neither the program nor native code has set another handler."""
        return self._handler is not None and _handler_address() == self._handler

    def restart_after_fork(self) -> None:
        """Give a child process a pipe and a thread of its own."""
        # First: until then SIGTERM in the child would end its parent, whose pipe it has. The pipe is not closed here:
        # a program that becomes a daemon may have closed it before and use its number.
        self.uninstall()
        self._pipe, self._ending = None, threading.Event()
        self.install()

    @property
    def received(self) -> bool:
        """Whether SIGTERM is ending the process."""
        return self._ending.is_set()

    def wait_for_end(self) -> None:
        """Wait until the signal ends the process; returns only if that failed."""
        threading.Event().wait(self._seconds + 1)

    def _register(self) -> None:
        if self._pipe is None:
            self._pipe = _pipe_with_high_numbers()
            os.set_blocking(self._pipe[1], False)
            thread = threading.Thread(
                target=self._watch, args=(self._pipe[0], self._ending), name="trust-otel-sigterm", daemon=True
            )
            with signals_blocked():
                thread.start()
        faulthandler.register(signal.SIGTERM, file=self._pipe[1], all_threads=False, chain=False)

    def _replace_pipe(self) -> None:
        self.uninstall()
        self._pipe = None
        with suppress(OSError, RuntimeError):
            self.install()

    def _watch(self, pipe: int, ending: threading.Event) -> None:
        while not ending.is_set():
            if not _read(pipe):
                self._replace_pipe()
                return
            if self.installed:
                ending.set()
        # A second SIGTERM must not cut the last export short, which has a deadline: where every process of a service
        # gets the signal, as from systemd, the workers get another one from their parent.
        try:
            self._shut_down()
        finally:
            self.uninstall()
            os.kill(os.getpid(), signal.SIGTERM)


def _pipe_with_high_numbers() -> tuple[int, int]:
    """The two ends of a pipe.

    The handler writes to a number. A program that closes every descriptor, as a daemon does, uses the low numbers again
    at once, and the high ones never.
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
    """What the handler has written; nothing if the program has closed the pipe."""
    try:
        return os.read(pipe, _READ_SIZE)
    except OSError:
        return b""


def install(shut_down: Callable[[], None], seconds: float) -> ExportOnSigterm | None:
    """Let SIGTERM with its default action run the last export first; `None` where the platform has no such handler."""
    if not hasattr(faulthandler, "register") or not hasattr(signal, "pthread_sigmask"):
        return None
    try:
        on_sigterm = ExportOnSigterm(shut_down, seconds)
        on_sigterm.install()
    except (ImportError, OSError, RuntimeError) as error:
        _logger.warning("trust-otel: SIGTERM ends the process without a last export (%s)", error)
        return None
    _follow_program(on_sigterm)
    return on_sigterm


def _follow_program(on_sigterm: ExportOnSigterm) -> None:
    """Cover programs that set SIGTERM's default action again and send the signal to themselves, as uvicorn does."""
    set_handler, raise_signal = signal.signal, signal.raise_signal

    @wraps(set_handler)
    def signal_(signalnum: Any, handler: Any) -> Callable[[int, FrameType | None], Any] | int | None:
        before = set_handler(signalnum, handler)
        if signalnum == signal.SIGTERM:
            with suppress(Exception):
                on_sigterm.install()
        return before

    @wraps(raise_signal)
    def raise_signal_(signalnum: int, /) -> None:
        ends = signalnum == signal.SIGTERM and on_sigterm.installed
        raise_signal(signalnum)
        if ends:
            # By the default action, nothing that comes after this call would run.
            on_sigterm.wait_for_end()

    signal.signal, signal.raise_signal = signal_, raise_signal_


def _handler_address() -> int:
    """The address of the function that the operating system calls at SIGTERM, 0 for the default action."""
    import ctypes

    # Larger than `struct sigaction` on any platform, whose first member is the handler.
    action = (ctypes.c_void_p * 64)()
    if ctypes.CDLL(None, use_errno=True).sigaction(int(signal.SIGTERM), None, action):
        raise OSError(ctypes.get_errno(), "sigaction")
    return action[0] or _DEFAULT_ACTION
