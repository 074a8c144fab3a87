"""A trial of alerts: a fault, and what must be told to whom because of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from testbed.drill.environment import Scene
from testbed.drill.receivers import Alert

Happening = Callable[[Scene], AbstractContextManager[None]]

_TEAMS = {
    ("security", "critical"): {"pagerduty:security", "slack:security", "email:security@trust.test"},
    ("security", "warning"): {"slack:security", "email:security@trust.test"},
    ("platform", "critical"): {"pagerduty:platform", "slack:platform", "email:platform@trust.test"},
    ("platform", "warning"): {"slack:platform", "email:platform@trust.test"},
    ("business", "warning"): {"slack:business", "email:business@trust.test"},
    ("compliance", "warning"): {"slack:business", "email:compliance@trust.test"},
}
_ESCALATION = {
    "team-lead": {"slack:escalation", "email:team-lead@trust.test", "email:escalation@trust.test"},
    "manager": {"pagerduty:escalation", "email:manager@trust.test"},
    "executives": {"pagerduty:escalation", "email:executive@trust.test"},
}
ESCALATION_CHANNELS = frozenset().union(*_ESCALATION.values())


@dataclass(frozen=True)
class Expected:
    """An alert that must fire, reach its receivers and resolve.

    Attributes:
        alert: Its name.
        severity: Its severity.
        team: Whose it is.
        labels: Labels that tell it from others of its name.
        level: Level of the escalation, for one that is an escalation.
    """

    alert: str
    severity: str = "warning"
    team: str = "platform"
    labels: Mapping[str, str] = field(default_factory=dict)
    level: str = ""

    @property
    def channels(self) -> frozenset[str]:
        """Who must be told, and nobody else."""
        if self.level:
            return frozenset(_ESCALATION[self.level])
        if self.severity == "info":
            return frozenset({"slack:default"})
        return frozenset({*_TEAMS[self.team, self.severity], "webhook:incident"})

    def matches(self, alert: Alert) -> bool:
        """Whether an alert of a notification is this one."""
        wanted = {"alertname": self.alert, "severity": self.severity, **self.labels}
        return wanted.items() <= alert.labels.items()

    def __str__(self) -> str:
        return f"{self.alert} ({self.severity}{f', {self.level}' if self.level else ''})"


@dataclass(frozen=True)
class Trial:
    """A fault and its alerts.

    Attributes:
        fault: What goes wrong, in words.
        happens: Lets it happen while its block is open.
        alerts: What must be told.
        resolves_late: Whether the alerts resolve minutes after the fault has ended, so that the next rounds need not
            wait for them.
    """

    fault: str
    happens: Happening
    alerts: tuple[Expected, ...]
    resolves_late: bool = False
