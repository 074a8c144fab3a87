"""Reconciles incidents with the active alerts of Alertmanager: silences, and alerts that ended without a notification.

Alertmanager sends no resolution for a silenced alert. Without polling, an acknowledged incident would stay open
forever.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from trust_ops.incidents.alertmanager import ActiveAlert, ActiveAlerts
from trust_ops.incidents.incident import ACKNOWLEDGED
from trust_ops.incidents.notifications import chunks, load, record
from trust_ops.incidents.payload import Alert
from trust_ops.incidents.tables import NAME_LENGTH, events, incidents
from trust_ops.incidents.unit_of_work import TrackedIncident, UnitOfWork

ABSENT_FOR = timedelta(minutes=5)
"""How long an alert must be missing: a restarted Alertmanager has none until Prometheus sends them again."""

_SETTLED = timedelta(seconds=30)
_BY = "found in Alertmanager"


def reconcile(connection: Connection, active: ActiveAlerts, asked_at: datetime, now: datetime) -> None:
    """Apply the state that Alertmanager had at `asked_at`. Incidents that changed after that are skipped."""
    unit = UnitOfWork(connection, now)
    loaded = [
        incident for incident in unit.load(incidents.c.resolved_at.is_(None)) if incident.state.changed_at < asked_at
    ]
    known = _known_silences(connection)
    for incident in loaded:
        seen = active.get(incident.fingerprint)
        if seen is None:
            _record_absence(unit, incident, asked_at)
            continue
        incident.state.absent_since = None
        if seen.alert.starts_at <= incident.starts_at:
            _record_silences(unit, incident, seen, known[incident.id])
    unit.write()
    for alerts in chunks(list(_unrecorded(connection, active, asked_at))):
        _reopen(connection, alerts, now)


def _record_absence(unit: UnitOfWork, incident: TrackedIncident, asked_at: datetime) -> None:
    since = incident.state.absent_since
    if since is None:
        incident.state.absent_since = asked_at
    elif asked_at - since >= ABSENT_FOR:
        unit.resolve(incident, since, "Alertmanager no longer has the alert")


def _record_silences(unit: UnitOfWork, incident: TrackedIncident, seen: ActiveAlert, known: set[str]) -> None:
    for silence in seen.silences:
        if silence.id not in known:
            began = max(incident.starts_at, min(silence.starts_at, unit.now))
            unit.acknowledge(
                incident, silence.created_by, silence.comment, at=began, until=silence.ends_at, silence_id=silence.id
            )
    state = incident.state
    if seen.silences:
        last = max(seen.silences, key=lambda silence: silence.ends_at)
        state.acknowledged_by, state.acknowledged_until = last.created_by[:NAME_LENGTH], last.ends_at
    elif state.acknowledged_by is not None and state.acknowledged_until is not None:
        unit.lapse(incident)


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


def _unrecorded(connection: Connection, active: ActiveAlerts, asked_at: datetime) -> Iterator[Alert]:
    """Active alerts without an open incident: their notifications were delayed or arrived out of order.

    An alert that never had an incident is not routed to this receiver.
    """
    last = func.max(incidents.c.starts_at).label("last")
    changed_at = func.max(incidents.c.changed_at).label("changed_at")
    for fingerprints in chunks(sorted(name for name, seen in active.items() if not seen.inhibited)):
        known = (
            select(incidents.c.fingerprint, last, changed_at)
            .where(incidents.c.fingerprint.in_(fingerprints))
            .group_by(incidents.c.fingerprint)
        )
        for row in connection.execute(known):
            alert = active[row.fingerprint].alert
            # Members of a cluster receive a resolution within seconds of each other.
            still_firing = alert.starts_at == row.last and row.changed_at < asked_at - _SETTLED
            if alert.starts_at > row.last or still_firing:
                yield alert


def _reopen(connection: Connection, alerts: Sequence[Alert], now: datetime) -> None:
    unit = UnitOfWork(connection, now)
    load(unit, alerts)
    for alert in alerts:
        record(unit, alert, "", _BY, certain=True)
    unit.write()
