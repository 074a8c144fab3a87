"""Counters that increase with time."""

from __future__ import annotations

from collections.abc import Callable

Clock = Callable[[], float]


class SteadyCounter:
    """A counter with a constant rate; its value does not jump when the rate changes.

    Args:
        rate: Units per second.
        clock: Returns the current time in seconds.
    """

    def __init__(self, rate: float, clock: Clock) -> None:
        self._clock = clock
        # A single assignment, so that other threads see consistent values.
        self._line = (0.0, clock(), rate)

    def count(self) -> float:
        """The current value."""
        counted, since, rate = self._line
        return counted + (self._clock() - since) * rate

    def set_rate(self, rate: float) -> None:
        """Change the rate from now on."""
        self._line = (self.count(), self._clock(), rate)
