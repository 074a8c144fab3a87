"""A process that is asked to end (SIGTERM) exports what is left first."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType

_received: list[int] = []


def end_in_good_order() -> None:
    """Let SIGTERM end the process as the end of the program does, with the last export, and then by the signal.

    By itself SIGTERM ends Python at once, and what was recorded since the last export is lost. It comes to that in a
    program without a handler, and in servers that clean up and then send the signal to themselves again, as uvicorn
    does. A handler that the program has, or sets later, stays in charge. Call it before the provider is made: it ends
    the process after the provider's last export. Does nothing outside the main thread, where no handler can be set.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        atexit.register(_end_by_signal)
        signal.signal(signal.SIGTERM, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    _received.append(number)
    # Unwinds what the main thread is doing, so that no lock is held when the last export needs it.
    sys.exit(128 + number)


def _end_by_signal() -> None:
    """Whoever waits for the process sees that the signal ended it, as without this module."""
    if _received:
        logging.shutdown()
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        signal.signal(_received[0], signal.SIG_DFL)
        os.kill(os.getpid(), _received[0])
