"""All alerts, one declaration each. `python -m monitoring.alerts` writes what is made of them.

`declaration` is what an alert consists of, `files` makes the rule file and the list of alerts in the runbooks' index,
every other module declares the alerts of one group.
"""

from __future__ import annotations

from monitoring.alerts import (
    availability,
    business,
    capacity,
    certificate,
    database,
    escalation,
    grpc,
    infrastructure,
    meta_monitoring,
    security,
    slo,
)
from monitoring.alerts.declaration import Alert, Threshold

GROUPS = (
    availability.GROUP,
    capacity.GROUP,
    security.GROUP,
    certificate.GROUP,
    business.GROUP,
    grpc.GROUP,
    database.GROUP,
    infrastructure.GROUP,
    slo.GROUP,
    meta_monitoring.GROUP,
    escalation.GROUP,
)
"""In the order of the rule file."""

ALERTS: tuple[Alert, ...] = tuple(alert for group in GROUPS for alert in group.alerts)


def threshold(name: str, severity: str | None = None) -> float:
    """The threshold of an alert; where several have the name, of the one with the severity.

    Raises:
        LookupError: There is no such alert, it has no threshold, or several have one.
    """
    return _only(name, severity, [alert.threshold for alert in _named(name, severity)], "threshold")


def minimum(name: str, severity: str | None = None) -> float:
    """The number of events below which an alert does not fire. Raises LookupError as `threshold` does."""
    return _only(name, severity, [alert.minimum for alert in _named(name, severity)], "minimum")


def _named(name: str, severity: str | None) -> list[Alert]:
    return [alert for alert in ALERTS if alert.name == name and severity in (None, alert.severity)]


def _only(name: str, severity: str | None, found: list[Threshold | None], kind: str) -> float:
    values = [each.value for each in found if each is not None]
    if len(values) != 1:
        raise LookupError(f"{name} ({severity or 'any severity'}) has {len(values)} values of {kind}; one is needed")
    return float(values[0])
