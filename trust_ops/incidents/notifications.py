"""What a delivery of Alertmanager changes. Delivering the same again changes nothing.

A firing alert carries no time of its own, so a repetition, a duplicate from the other Alertmanager of a pair, and a
delivery that was overtaken by the resolution are told apart by when they come.
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
from trust_ops.incidents.unit_of_work import Entry, Journal

T = TypeVar("T")

LATE = "late"
UNCHANGED = "unchanged"

OVERTAKEN = timedelta(minutes=5)
"""How long a delivery may take to arrive: Alertmanager gives up after its `group_interval`, by default this."""

_DUPLICATE = timedelta(minutes=1)
# Well below the most parameters that a statement may have.
_AT_A_TIME = 500


def deliver(connection: Connection, notification: Notification, now: datetime) -> Counter[str]:
    """Record a notification; how many of its alerts were opened, notified, resolved, reopened, late, unchanged."""
    outcome: Counter[str] = Counter()
    # An alert that ended and began anew stands there twice: the end of the old one first.
    ordered = sorted(notification.alerts, key=lambda alert: (alert.fingerprint, alert.starts_at))
    for alerts in chunks(ordered):
        journal = Journal(connection, now)
        load(journal, alerts)
        seen: list[Entry] = []
        for alert in alerts:
            what, entry = record(journal, alert, notification.alertmanager_url, f"by {notification.receiver}")
            outcome[what] += 1
            if entry is not None and alert.firing:
                seen.append(entry)
        journal.write()
        _count(connection, notification.receiver[:NAME_LENGTH], {entry.id for entry in seen}, now)
    return outcome


def load(journal: Journal, alerts: Sequence[Alert]) -> None:
    """Have the journal read all that decides what becomes of the alerts."""
    oldest = min(alert.starts_at for alert in alerts)
    journal.load(
        incidents.c.fingerprint.in_({alert.fingerprint for alert in alerts})
        & or_(incidents.c.resolved_at.is_(None), incidents.c.starts_at >= oldest)
    )


def record(
    journal: Journal, alert: Alert, alertmanager_url: str, text: str, *, certain: bool = False
) -> tuple[str, Entry | None]:
    """Note one alert; what it has changed, and the incident if it has one.

    Args:
        journal: Has what `load` reads.
        alert: The alert.
        alertmanager_url: Where people find that Alertmanager.
        text: Who says so.
        certain: Whether this is how things are now, and no delivery that may have been overtaken.
    """
    same = next((entry for entry in journal.of(alert.fingerprint) if entry.starts_at == alert.starts_at), None)
    overtaken = any(entry.starts_at > alert.starts_at for entry in journal.of(alert.fingerprint))
    if not alert.firing:
        return _ended(journal, alert, same, alertmanager_url, text)
    if same is None:
        return (LATE, None) if overtaken else (OPENED, journal.open(alert, alertmanager_url, text))
    if same.open:
        return NOTIFIED, same
    if overtaken or (not certain and journal.now - same.state.changed_at < OVERTAKEN):
        return LATE, same
    journal.reopen(same, text)
    return REOPENED, same


def _ended(
    journal: Journal, alert: Alert, same: Entry | None, alertmanager_url: str, text: str
) -> tuple[str, Entry | None]:
    if same is None:
        # Its firing never arrived, which is no reason to forget it.
        same = journal.open(alert, alertmanager_url, text)
    if not same.open:
        return UNCHANGED, same
    journal.resolve(same, alert.ends_at or journal.now, text)
    return RESOLVED, same


def chunks(things: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at a time as a statement takes."""
    for start in range(0, len(things), _AT_A_TIME):
        yield things[start : start + _AT_A_TIME]


def _count(connection: Connection, receiver: str, seen: set[int], now: datetime) -> None:
    """Count the notification for the incidents that it is not a duplicate for."""
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
