"""All alerts, one declaration each. `python -m monitoring.alerts` writes what is made of them.

`declaration` is what an alert consists of, `files` makes the rule file and the list of alerts in the runbooks' index,
every other module declares the alerts of one group.
"""

from __future__ import annotations

from typing import TypeVar

from monitoring.alerts import (
    availability,
    business,
    capacity,
    certificate,
    database,
    escalation,
    grpc,
    infrastructure,
    keys,
    meta_monitoring,
    revocation,
    security,
    slo,
    timestamp,
    trust_anchors,
)
from monitoring.alerts.declaration import Alert
from monitoring.alerts.site_number import SiteNumber

Found = TypeVar("Found")

GROUPS = (
    availability.GROUP,
    capacity.GROUP,
    security.GROUP,
    certificate.GROUP,
    revocation.GROUP,
    timestamp.GROUP,
    keys.GROUP,
    trust_anchors.GROUP,
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


def threshold(name: str, severity: str | None = None) -> SiteNumber:
    """The threshold of an alert; where several have the name, of the one with the severity.

    Raises:
        LookupError: There is no such alert, it has no threshold, or several have one.
    """
    found = [(alert, alert.threshold) for alert in _named(name, severity) if alert.threshold is not None]
    alert, number = _only(name, severity, found, "threshold")
    return SiteNumber(number.value, f"threshold {name}/{alert.severity}")


def minimum(name: str, severity: str | None = None) -> float:
    """The number of events below which an alert does not fire. Raises LookupError as `threshold` does."""
    found = [alert.minimum.value for alert in _named(name, severity) if alert.minimum is not None]
    return _only(name, severity, found, "minimum")


def _named(name: str, severity: str | None) -> list[Alert]:
    return [alert for alert in ALERTS if alert.name == name and severity in (None, alert.severity)]


def _only(name: str, severity: str | None, found: list[Found], kind: str) -> Found:
    if len(found) != 1:
        raise LookupError(f"{name} ({severity or 'any severity'}) has {len(found)} values of {kind}; one is needed")
    return found[0]
