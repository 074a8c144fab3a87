"""Alertmanager's notifications, and a clock that the test moves."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from trust_ops.incidents.store import Store
from trust_ops.incidents.times import format_time

NIGHT = datetime(2026, 11, 25, 3, 0, tzinfo=timezone.utc)
ZERO = "0001-01-01T00:00:00Z"


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = NIGHT

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **duration: float) -> datetime:
        self.now += timedelta(**duration)
        return self.now


def alert(
    name: str = "TrustServiceDown",
    *,
    fingerprint: str = "a1",
    starts_at: datetime = NIGHT,
    ends_at: datetime | None = None,
    annotations: dict[str, str] | None = None,
    **labels: str,
) -> dict[str, Any]:
    """An alert of a notification; resolved if `ends_at` is given."""
    return {
        "status": "firing" if ends_at is None else "resolved",
        "labels": {
            "alertname": name,
            "severity": "critical",
            "team": "platform",
            "service": "issuer",
            "category": "availability",
            **labels,
        },
        "annotations": {"summary": "The service is down.", **(annotations or {})},
        "startsAt": format_time(starts_at),
        "endsAt": ZERO if ends_at is None else format_time(ends_at),
        "generatorURL": "http://prometheus/graph",
        "fingerprint": fingerprint,
    }


def payload(*alerts: dict[str, Any], receiver: str = "incidents", **more: Any) -> bytes:
    """The body of a notification, as Alertmanager 0.31 sends it."""
    return json.dumps(
        {
            "receiver": receiver,
            "status": "firing" if any(one["status"] == "firing" for one in alerts) else "resolved",
            "alerts": list(alerts),
            "groupLabels": {},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": "http://alertmanager",
            "version": "4",
            "groupKey": "{}:{}",
            "truncatedAlerts": 0,
            **more,
        }
    ).encode()


def timeline(store: Store, number: int = 1) -> list[tuple[str, str | None]]:
    """Kind and person of each event of an incident."""
    return [(event.kind, event.person) for event in store.incident(number)[1]]
