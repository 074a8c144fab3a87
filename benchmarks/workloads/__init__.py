"""What is measured: each module has `prepare(variant, case)`, which returns a round to run and measure.

The modules run in the environments of the variants, so they import only the standard library and what they measure.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from time import process_time_ns

Round = Callable[[], float]
"""Runs one round; returns the CPU microseconds of one operation."""

# Short enough that some rounds are not interrupted by other processes.
_ROUND_NANOSECONDS = 4_000_000


def calls(function: Callable[[], object]) -> Round:
    """A round that calls a function repeatedly."""

    def timed(count: int) -> int:
        started = process_time_ns()
        for _ in repeat(None, count):
            function()
        return process_time_ns() - started

    return timed_round(timed)


def timed_round(timed: Callable[[int], int]) -> Round:
    """A round of as many operations as take about 4 ms.

    Args:
        timed: Runs this number of operations; returns the CPU nanoseconds.
    """
    timed(20)
    count = max(1, 20 * _ROUND_NANOSECONDS // max(1, timed(20)))

    def run() -> float:
        # Since the last round, other processes have filled the caches.
        timed(count // 4 + 1)
        return timed(count) / count / 1000

    return run
