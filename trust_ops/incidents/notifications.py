"""Records Alertmanager's notifications, idempotently.

A firing alert has no timestamp of the notification. Repeats, duplicates from the other Alertmanager of a pair, and
notifications that arrive after the resolution are distinguished by their time of arrival.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, insert, or_, select, update

from trust_ops.incidents.incident import NOTIFIED, OPENED, REOPENED, RESOLVED
from trust_ops.incidents.payload import Alert, Notification
from trust_ops.incidents.tables import NAME_LENGTH, incidents, notifications
from trust_ops.incidents.unit_of_work import TrackedIncident, UnitOfWork

T = TypeVar("T")

LATE = "late"
UNCHANGED = "unchanged"

DELIVERY_TIMEOUT = timedelta(minutes=5)
"""How late a notification may arrive: Alertmanager stops retrying after its `group_interval`, by default this long."""

_DUPLICATE = timedelta(minutes=1)
# Well below the maximum number of parameters of a statement.
_CHUNK_SIZE = 500


def deliver(connection: Connection, notification: Notification, now: datetime) -> Counter[str]:
    """Record a notification; returns how many alerts were opened, notified, resolved, reopened, late and unchanged."""
    outcome: Counter[str] = Counter()
    # An alert that was resolved and fires again is listed twice: the resolved one first.
    ordered = sorted(notification.alerts, key=lambda alert: (alert.fingerprint, alert.starts_at))
    for alerts in chunks(ordered):
        unit = UnitOfWork(connection, now)
        load(unit, alerts)
        seen: list[TrackedIncident] = []
        for alert in alerts:
            outcome_of_alert, incident = record(
                unit, alert, notification.alertmanager_url, f"by {notification.receiver}"
            )
            outcome[outcome_of_alert] += 1
            if incident is not None and alert.firing:
                seen.append(incident)
        unit.write()
        _count(connection, notification.receiver[:NAME_LENGTH], {incident.id for incident in seen}, now)
    return outcome


def load(unit: UnitOfWork, alerts: Sequence[Alert]) -> None:
    """Load every incident that `record` needs for these alerts."""
    oldest = min(alert.starts_at for alert in alerts)
    unit.load(
        incidents.c.fingerprint.in_({alert.fingerprint for alert in alerts})
        & or_(incidents.c.resolved_at.is_(None), incidents.c.starts_at >= oldest)
    )


def record(
    unit: UnitOfWork, alert: Alert, alertmanager_url: str, text: str, *, certain: bool = False
) -> tuple[str, TrackedIncident | None]:
    """Record one alert; returns the outcome and the incident, if any.

    Args:
        unit: Has loaded what `load` selects.
        alert: The alert.
        alertmanager_url: External URL of that Alertmanager.
        text: The source, for the timeline.
        certain: Whether the alert is current, unlike a notification, which may be outdated.
    """
    same = next((incident for incident in unit.of(alert.fingerprint) if incident.starts_at == alert.starts_at), None)
    outdated = any(incident.starts_at > alert.starts_at for incident in unit.of(alert.fingerprint))
    if not alert.firing:
        return _record_resolved(unit, alert, same, alertmanager_url, text)
    if same is None:
        return (LATE, None) if outdated else (OPENED, unit.open(alert, alertmanager_url, text))
    if same.open:
        return NOTIFIED, same
    if outdated or (not certain and unit.now - same.state.changed_at < DELIVERY_TIMEOUT):
        return LATE, same
    unit.reopen(same, text)
    return REOPENED, same


def _record_resolved(
    unit: UnitOfWork, alert: Alert, same: TrackedIncident | None, alertmanager_url: str, text: str
) -> tuple[str, TrackedIncident | None]:
    if same is None:
        # The firing notification was lost; record the incident anyway.
        same = unit.open(alert, alertmanager_url, text)
    if not same.open:
        return UNCHANGED, same
    unit.resolve(same, alert.ends_at or unit.now, text)
    return RESOLVED, same


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Split into chunks that fit into one statement."""
    for start in range(0, len(items), _CHUNK_SIZE):
        yield items[start : start + _CHUNK_SIZE]


def _count(connection: Connection, receiver: str, seen: set[int], now: datetime) -> None:
    """Count the notification for each incident, unless it is a duplicate."""
    known: dict[int, Any] = {}
    rows = connection.execute(
        select(notifications).where(notifications.c.receiver == receiver, notifications.c.incident_id.in_(seen))
    )
    for row in rows:
        known[row.incident_id] = row
    first = [
        {"incident_id": number, "receiver": receiver, "times": 1, "first_at": now, "last_at": now}
        for number in sorted(seen - known.keys())
    ]
    again = [
        {"which": number, "times": row.times + 1, "last_at": now}
        for number, row in known.items()
        if now - row.last_at >= _DUPLICATE
    ]
    if first:
        connection.execute(insert(notifications), first)
    if again:
        connection.execute(
            update(notifications).where(
                notifications.c.receiver == receiver, notifications.c.incident_id == bindparam("which")
            ),
            again,
        )
