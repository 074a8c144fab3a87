"""The records of incidents that a review is made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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
