"""An incident and its timeline, as in the HTTP API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

SEVERITIES = ("critical", "warning", "info")
"""Most severe first."""

ACKNOWLEDGED, LAPSED, NOTE, NOTIFIED, OPENED, REOPENED, RESOLVED = (
    "acknowledged",
    "lapsed",
    "note",
    "notified",
    "opened",
    "reopened",
    "resolved",
)
"""Kinds of events."""


@dataclass(frozen=True)
class Incident:
    """One alert, from when it started to fire until it was resolved.

    Attributes:
        id: Its number.
        starts_at: When the alert started to fire.
        acknowledged_at: When it was first acknowledged.
        acknowledged_by: Who acknowledged it; `None` when nobody did, or the acknowledgement has lapsed.
        acknowledged_until: When the silence of the acknowledgement ends; `None` without one.
        resolved_at: When the alert was resolved.
        generator_url: The rule's expression in Prometheus.
        alertmanager_url: External URL of the Alertmanager that reported it.
    """

    id: int
    alertname: str
    severity: str
    team: str
    service: str
    category: str
    fingerprint: str
    starts_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    acknowledged_until: datetime | None
    resolved_at: datetime | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    generator_url: str
    alertmanager_url: str


@dataclass(frozen=True)
class Event:
    """An event in the timeline of an incident.

    Attributes:
        at: Its time.
        kind: `opened`, `notified`, `acknowledged`, `lapsed`, `note`, `reopened` or `resolved`.
        person: Who caused it; `None` for events of the system.
        text: Details.
    """

    at: datetime
    kind: str
    person: str | None
    text: str
