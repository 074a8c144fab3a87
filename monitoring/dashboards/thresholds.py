"""Where green ends: thresholds as the alert rules have them, and as colours of Grafana."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode

from tools.checks.promql import COMPARISONS, Binary, Selector, constant, walk
from tools.checks.rules import Rule, read_rules

GREEN: Final = "green"
YELLOW: Final = "yellow"
RED: Final = "red"
NEUTRAL: Final = "blue"
UNMEASURED: Final = "#808080"
"""For what has never been measured, and is neither good nor bad."""

_RULES = Path(__file__).parents[1] / "prometheus" / "trust-service-alerts.yml"


class NoLimitError(LookupError):
    """No alert compares the series with one number."""


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


def limit(alert: str, name: str, severity: str | None = None) -> float:
    """The number with which the alert compares an expression that reads the series.

    Args:
        alert: Its name.
        name: Name of the series, as it is written in the rule. A comparison that reads nothing else comes first.
        severity: Of several alerts of the name, the one.

    Raises:
        NoLimitError: There is no such comparison, or there are several numbers.
    """
    compared = [
        (read, value)
        for rule in _rules()
        if rule.is_alert and rule.name == alert and severity in (None, rule.labels["severity"])
        for read, value in _comparisons(rule)
    ]
    found = {value for read, value in compared if read == {name}} or {value for read, value in compared if name in read}
    if len(found) != 1:
        raise NoLimitError(f"{alert} compares {name} with {sorted(found) or 'no number'}; one is needed")
    return found.pop()


@cache
def _rules() -> tuple[Rule, ...]:
    return read_rules([_RULES])


def _comparisons(rule: Rule) -> Iterator[tuple[set[str], float]]:
    """The series that are compared with a number, and the number."""
    for part in walk(rule.expression()):
        if isinstance(part, Binary) and part.operator in COMPARISONS:
            value = constant(part.right)
            if value is not None:
                yield {each.name for each in walk(part.left) if isinstance(each, Selector)}, value
