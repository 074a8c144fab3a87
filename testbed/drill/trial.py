"""A trial: a fault and the alerts that it must cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from testbed.drill.environment import Environment
from testbed.drill.receivers import Alert

Fault = Callable[[Environment], AbstractContextManager[None]]

_TEAMS = {
    ("security", "critical"): {"pagerduty:security", "slack:security", "email:security@trust.test"},
    ("security", "warning"): {"slack:security", "email:security@trust.test"},
    ("platform", "critical"): {"pagerduty:platform", "slack:platform", "email:platform@trust.test"},
    ("platform", "warning"): {"slack:platform", "email:platform@trust.test"},
    ("business", "warning"): {"slack:business", "email:business@trust.test"},
    ("compliance", "warning"): {"slack:business", "email:compliance@trust.test"},
}
_ESCALATION = {
    "team-lead": {
        "pagerduty:escalation",
        "slack:escalation",
        "email:team-lead@trust.test",
        "email:escalation@trust.test",
    },
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
        team: The team that owns it.
        labels: Labels that distinguish it from others with its name.
        level: Escalation level, for an escalation.
    """

    alert: str
    severity: str = "warning"
    team: str = "platform"
    labels: Mapping[str, str] = field(default_factory=dict)
    level: str = ""

    @property
    def channels(self) -> frozenset[str]:
        """The channels that must be notified, and no others."""
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
        fault: Description of the fault.
        inject: Injects the fault within a block.
        alerts: The alerts that must fire.
        resolves_late: Whether the alerts resolve minutes after the fault has ended, so that the next rounds need not
            wait for them.
    """

    fault: str
    inject: Fault
    alerts: tuple[Expected, ...]
    resolves_late: bool = False
