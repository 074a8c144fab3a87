"""Ctrl+C while the launcher loads telemetry, in `sitecustomize`: Python is still starting.

A `KeyboardInterrupt` that leaves the `site` module ends Python with "Fatal Python error" and exit status 1.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupt_terminates() -> Iterator[None]:
    """End the process by SIGINT if it is interrupted within, and Python is still starting."""
    try:
        yield
    except KeyboardInterrupt:
        if _is_starting():
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        raise


def _is_starting() -> bool:
    """Whether Python imports `sitecustomize`, before the program."""
    spec = getattr(sys.modules.get("sitecustomize"), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))
