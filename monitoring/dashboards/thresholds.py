"""Thresholds as colours of Grafana. The numbers come from the alerts: `monitoring.alerts.threshold`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode

GREEN: Final = "green"
YELLOW: Final = "yellow"
RED: Final = "red"
NEUTRAL: Final = "blue"
UNMEASURED: Final = "#808080"
"""For what has never been measured, and is neither good nor bad."""


@dataclass(frozen=True)
class Levels:
    """The value from which on a field changes colour.

    Attributes:
        first: Colour below all of `steps`.
        steps: Values and the colours from there on, rising.
    """

    first: str
    steps: tuple[tuple[float, str], ...] = ()

    def config(self) -> builders.ThresholdsConfig:
        """The same for Grafana."""
        return builders.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(self.thresholds())

    def thresholds(self) -> list[Threshold]:
        """The steps for Grafana."""
        steps = (Threshold(value, colour) for value, colour in self.steps)
        return [Threshold(None, self.first), *steps]


PLAIN: Final = Levels(NEUTRAL)
"""For a number that is neither good nor bad."""
FINE: Final = Levels(GREEN)


def rising(*, red: float, yellow: float | None = None) -> Levels:
    """The more, the worse."""
    between = () if yellow is None else ((yellow, YELLOW),)
    return Levels(GREEN, (*between, (red, RED)))


def falling(*, red: float, yellow: float | None = None) -> Levels:
    """The less, the worse: red below `red`, yellow below `yellow`."""
    between = ((red, GREEN),) if yellow is None else ((red, YELLOW), (yellow, GREEN))
    return Levels(RED, between)


NONE_ALLOWED: Final = rising(red=1)
"""Green at 0 only, for whole numbers."""
UP: Final = falling(red=1)
"""Green at 1 only."""
