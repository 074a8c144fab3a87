"""Detects that the system clock was set: the SDK measures the time of an export with it."""

from __future__ import annotations

from time import monotonic_ns, time_ns
from typing import Final

_TOLERATED: Final = 1_000_000_000


def nanoseconds_set(since_unix_nano: int, since_monotonic_nano: int) -> int:
    """By how much the clock was set since a moment; 0 for less than a second, as when it is slewed.

    Args:
        since_unix_nano: The moment in Unix time.
        since_monotonic_nano: The same moment on the monotonic clock.
    """
    ahead = (time_ns() - since_unix_nano) - (monotonic_ns() - since_monotonic_nano)
    return ahead if abs(ahead) >= _TOLERATED else 0
