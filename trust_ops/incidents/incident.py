"""An incident and its timeline, as the HTTP interface shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from trust_ops.incidents.times import format_time, parse_time

SEVERITIES = ("critical", "warning", "info")
"""From the worst on."""

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
    """One alert, from when it began to fire until it was resolved.

    Attributes:
        id: What people call it by.
        starts_at: Since when the alert fires.
        acknowledged_at: When it was acknowledged for the first time.
        acknowledged_by: Who has taken it; `None` when nobody has, or no longer.
        acknowledged_until: When the silence of the acknowledgement ends; `None` without one.
        resolved_at: When the alert ended.
        generator_url: The rule's expression in Prometheus.
        alertmanager_url: Where people find the Alertmanager that reported it.
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
    """What happened to an incident.

    Attributes:
        at: When.
        kind: `opened`, `notified`, `acknowledged`, `lapsed`, `note`, `reopened` or `resolved`.
        person: Who did it; `None` for what nobody did.
        text: What is to be said about it.
    """

    at: datetime
    kind: str
    person: str | None
    text: str


def to_json(thing: Incident | Event) -> dict[str, Any]:
    """Its attributes, with times as in RFC 3339."""
    values = {field.name: getattr(thing, field.name) for field in fields(thing)}
    return {name: format_time(value) if isinstance(value, datetime) else value for name, value in values.items()}


def incident_from_json(content: Mapping[str, Any]) -> Incident:
    """The incident that `to_json` wrote."""
    return Incident(**_attributes(Incident, content))


def event_from_json(content: Mapping[str, Any]) -> Event:
    """The event that `to_json` wrote."""
    return Event(**_attributes(Event, content))


def _attributes(kind: type[Incident] | type[Event], content: Mapping[str, Any]) -> dict[str, Any]:
    attributes = {field.name: content[field.name] for field in fields(kind)}
    for field in fields(kind):
        if "datetime" in str(field.type) and attributes[field.name] is not None:
            attributes[field.name] = parse_time(attributes[field.name])
    return attributes
