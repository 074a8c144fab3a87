"""What a look at Alertmanager changes: who has silenced what, and which alerts are gone without a word.

A silenced alert ends in silence: Alertmanager sends no resolution for it. So an acknowledged incident would stay open
for ever if nobody looked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from trust_ops.incidents.alertmanager import Seen, View
from trust_ops.incidents.incident import ACKNOWLEDGED
from trust_ops.incidents.notifications import chunks, load, record
from trust_ops.incidents.payload import Alert
from trust_ops.incidents.tables import NAME_LENGTH, events, incidents
from trust_ops.incidents.unit_of_work import Entry, Journal

GONE = timedelta(minutes=5)
"""How long an alert must be missing: a restarted Alertmanager knows none until Prometheus tells it again."""

_SETTLED = timedelta(seconds=30)
_BY = "seen in Alertmanager"


def observe(connection: Connection, view: View, asked_at: datetime, now: datetime) -> None:
    """Record what Alertmanager had when it was asked. What changed here after that moment is left alone."""
    journal = Journal(connection, now)
    entries = [entry for entry in journal.load(incidents.c.resolved_at.is_(None)) if entry.state.changed_at < asked_at]
    known = _known_silences(connection)
    for entry in entries:
        seen = view.get(entry.fingerprint)
        if seen is None:
            _missing(journal, entry, asked_at)
            continue
        entry.state.absent_since = None
        if seen.alert.starts_at <= entry.starts_at:
            _acknowledged(journal, entry, seen, known[entry.id])
    journal.write()
    for alerts in chunks(list(_unrecorded(connection, view, asked_at))):
        _fire(connection, alerts, now)


def _missing(journal: Journal, entry: Entry, asked_at: datetime) -> None:
    since = entry.state.absent_since
    if since is None:
        entry.state.absent_since = asked_at
    elif asked_at - since >= GONE:
        journal.resolve(entry, since, "Alertmanager no longer has the alert")


def _acknowledged(journal: Journal, entry: Entry, seen: Seen, known: set[str]) -> None:
    for silence in seen.silences:
        if silence.id not in known:
            began = max(entry.starts_at, min(silence.starts_at, journal.now))
            journal.acknowledge(
                entry, silence.created_by, silence.comment, at=began, until=silence.ends_at, silence_id=silence.id
            )
    state = entry.state
    if seen.silences:
        last = max(seen.silences, key=lambda silence: silence.ends_at)
        state.acknowledged_by, state.acknowledged_until = last.created_by[:NAME_LENGTH], last.ends_at
    elif state.acknowledged_by is not None and state.acknowledged_until is not None:
        journal.lapse(entry)


def _known_silences(connection: Connection) -> defaultdict[int, set[str]]:
    known: defaultdict[int, set[str]] = defaultdict(set)
    query = (
        select(events.c.incident_id, events.c.silence_id)
        .join(incidents)
        .where(incidents.c.resolved_at.is_(None), events.c.kind == ACKNOWLEDGED, events.c.silence_id.is_not(None))
    )
    for row in connection.execute(query):
        known[row.incident_id].add(row.silence_id)
    return known


def _unrecorded(connection: Connection, view: View, asked_at: datetime) -> Iterator[Alert]:
    """The alerts that began anew, or go on, without a word: deliveries that were held back or overtaken.

    An alert that never had an incident is not for this receiver.
    """
    last = func.max(incidents.c.starts_at).label("last")
    changed_at = func.max(incidents.c.changed_at).label("changed_at")
    for fingerprints in chunks(sorted(name for name, seen in view.items() if not seen.inhibited)):
        known = (
            select(incidents.c.fingerprint, last, changed_at)
            .where(incidents.c.fingerprint.in_(fingerprints))
            .group_by(incidents.c.fingerprint)
        )
        for row in connection.execute(known):
            alert = view[row.fingerprint].alert
            # The members of a cluster learn of an end within seconds of each other.
            goes_on = alert.starts_at == row.last and row.changed_at < asked_at - _SETTLED
            if alert.starts_at > row.last or goes_on:
                yield alert


def _fire(connection: Connection, alerts: Sequence[Alert], now: datetime) -> None:
    journal = Journal(connection, now)
    load(journal, alerts)
    for alert in alerts:
        record(journal, alert, "", _BY, certain=True)
    journal.write()
