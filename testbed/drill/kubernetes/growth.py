"""Numbers that grow with time."""

from __future__ import annotations

from collections.abc import Callable

Clock = Callable[[], float]


class Growth:
    """A counter that grows evenly; a change of its rate does not move what it has counted.

    Args:
        rate: Units per second.
        clock: Gives the present, in seconds.
    """

    def __init__(self, rate: float, clock: Clock) -> None:
        self._clock = clock
        # One assignment changes all three: another thread sees the old line or the new.
        self._line = (0.0, clock(), rate)

    def count(self) -> float:
        """What has been counted so far."""
        counted, since, rate = self._line
        return counted + (self._clock() - since) * rate

    def set_rate(self, rate: float) -> None:
        """Grow at another rate from now on."""
        self._line = (self.count(), self._clock(), rate)
