"""The records of incidents that a review is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from trust_ops.incidents.times import format_time, parse_time

_TIMES = ("starts_at", "acknowledged_at", "resolved_at")


@dataclass(frozen=True)
class Note:
    """A note on an incident."""

    person: str
    text: str


@dataclass(frozen=True)
class Record:
    """An incident, without personal data except in notes.

    Attributes:
        fingerprint: The same for every incident of one alert.
        starts_at: When it started to fire.
        acknowledged_at: When it was first acknowledged.
        resolved_at: When it was resolved.
        runbook_url: Its runbook, or "".
        dashboard_url: Its panel, or "".
        notes: Its notes.
    """

    id: int
    alertname: str
    severity: str
    team: str
    service: str
    category: str
    fingerprint: str
    starts_at: datetime
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None
    runbook_url: str = ""
    dashboard_url: str = ""
    notes: tuple[Note, ...] = ()


def to_json(record: Record) -> dict[str, Any]:
    """The attributes as JSON, with times as in RFC 3339."""
    values = asdict(record)
    return {**values, **{name: format_time(values[name]) for name in _TIMES if values[name] is not None}}


def from_json(content: Mapping[str, Any]) -> Record:
    """The record that `to_json` wrote."""
    times = {name: parse_time(content[name]) for name in _TIMES if content[name] is not None}
    notes = tuple(Note(**note) for note in content["notes"])
    return Record(**{**content, **times, "notes": notes})
