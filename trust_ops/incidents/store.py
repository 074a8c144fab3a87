"""Incidents in the database: every question and every change, each in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, case, delete, func, insert, or_, select, update

from trust_ops.incidents import reconcile
from trust_ops.incidents.alertmanager import View
from trust_ops.incidents.database import Database
from trust_ops.incidents.incident import NOTE, NOTIFIED, OPENED, SEVERITIES, Event, Incident
from trust_ops.incidents.notifications import deliver
from trust_ops.incidents.payload import Notification
from trust_ops.incidents.records import Note, Record
from trust_ops.incidents.tables import events, heartbeat, incidents, notifications
from trust_ops.incidents.times import format_time, utc_now
from trust_ops.incidents.unit_of_work import Entry, Journal


class NoSuchIncidentError(LookupError):
    """There is no incident of that number."""


class AlreadyResolvedError(RuntimeError):
    """The incident is over; there is nothing to acknowledge."""

    def __init__(self, number: int, resolved_at: datetime) -> None:
        super().__init__(f"incident {number} is resolved since {format_time(resolved_at)}: nobody needs to take it")


class Store:
    """Incidents, kept. Every method raises DatabaseAwayError when the database does not do it.

    Args:
        database: Where.
        clock: What time it is.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def check(self) -> None:
        """Write to the database, one row that is always the same one."""
        now = self._clock()
        with self._database.write() as connection:
            if connection.execute(update(heartbeat).values(at=now)).rowcount == 0:
                connection.execute(insert(heartbeat).values(id=1, at=now))

    def deliver(self, notification: Notification) -> Counter[str]:
        """Record a notification of Alertmanager; what has become of its alerts."""
        with self._database.write() as connection:
            return deliver(connection, notification, self._clock())

    def observe(self, view: View, asked_at: datetime) -> None:
        """Record what Alertmanager had when it was asked."""
        with self._database.write() as connection:
            reconcile.observe(connection, view, asked_at, self._clock())

    def incident(self, number: int) -> tuple[Incident, list[Event]]:
        """An incident and what has happened to it, in order. Raises NoSuchIncidentError."""
        with self._database.read() as connection:
            row = connection.execute(select(incidents).where(incidents.c.id == number)).mappings().one_or_none()
            if row is None:
                raise NoSuchIncidentError(f"there is no incident {number}")
            return _incident(row), _timeline(connection, number)

    def incidents(self, *, only_open: bool, limit: int) -> tuple[list[Incident], int]:
        """Incidents, and how many more there are: the open ones from the worst on, or all from the newest on."""
        condition = incidents.c.resolved_at.is_(None) if only_open else incidents.c.id.is_not(None)
        order: tuple[ColumnElement[Any], ...] = (incidents.c.starts_at.desc(), incidents.c.id.desc())
        if only_open:
            order = (_RANK, incidents.c.starts_at, incidents.c.id)
        with self._database.read() as connection:
            rows = connection.execute(select(incidents).where(condition).order_by(*order).limit(limit)).mappings()
            found = [_incident(row) for row in rows]
            count = connection.execute(select(func.count()).select_from(incidents).where(condition)).scalar_one()
            return found, count - len(found)

    def acknowledge(
        self, number: int, person: str, comment: str, *, until: datetime | None = None, silence_id: str | None = None
    ) -> str | None:
        """Record who has taken an incident; the silence that theirs replaces.

        Args:
            number: The incident.
            person: Who.
            comment: What they say.
            until: When the silence that they have made ends.
            silence_id: That silence, which ends with the incident.

        Raises:
            NoSuchIncidentError, AlreadyResolvedError: There is nothing to acknowledge.
        """
        with self._entry(number) as (connection, journal, entry):
            if entry.state.resolved_at is not None:
                raise AlreadyResolvedError(number, entry.state.resolved_at)
            # The background may have seen the silence before this.
            seen = silence_id is not None and _has_silence(connection, number, silence_id)
            if not seen:
                journal.acknowledge(entry, person, comment, until=until, silence_id=silence_id)
            replaced, entry.state.silence_id = entry.state.silence_id, silence_id
            return replaced

    def note(self, number: int, person: str, text: str) -> None:
        """Add to the timeline what somebody says. Raises NoSuchIncidentError."""
        with self._entry(number) as (_, journal, entry):
            journal.note(entry, person, text)

    def silences_left(self) -> list[tuple[int, str]]:
        """The resolved incidents whose silences have not been ended yet, with these."""
        query = select(incidents.c.id, incidents.c.silence_id).where(
            incidents.c.silence_id.is_not(None), incidents.c.resolved_at.is_not(None)
        )
        with self._database.read() as connection:
            return [(row.id, row.silence_id) for row in connection.execute(query)]

    def silence_ended(self, number: int) -> None:
        """The silence of an incident is no longer to be ended."""
        with self._database.write() as connection:
            connection.execute(update(incidents).where(incidents.c.id == number).values(silence_id=None))

    def records(self, start: datetime, end: datetime) -> list[Record]:
        """What a review reads of the incidents that were open at any time from `start` until before `end`."""
        meanwhile = (incidents.c.starts_at < end) & or_(
            incidents.c.resolved_at.is_(None), incidents.c.resolved_at >= start
        )
        columns = [incidents.c[name] for name in _OF_A_RECORD]
        with self._database.read() as connection:
            notes: dict[int, list[Note]] = {}
            said = select(events).join(incidents).where(meanwhile, events.c.kind == NOTE).order_by(events.c.id)
            for event in connection.execute(said):
                notes.setdefault(event.incident_id, []).append(Note(event.person or "", event.text))
            rows = connection.execute(select(*columns).where(meanwhile).order_by(incidents.c.starts_at)).mappings()
            return [_record(row, notes.get(row["id"], [])) for row in rows]

    def forget(self, older_than: timedelta) -> int:
        """Delete the incidents that were resolved longer ago; how many."""
        oldest = self._clock() - older_than
        with self._database.write() as connection:
            return connection.execute(delete(incidents).where(incidents.c.resolved_at < oldest)).rowcount

    @contextmanager
    def _entry(self, number: int) -> Iterator[tuple[Connection, Journal, Entry]]:
        with self._database.write() as connection:
            journal = Journal(connection, self._clock())
            found = journal.load(incidents.c.id == number)
            if not found:
                raise NoSuchIncidentError(f"there is no incident {number}")
            yield connection, journal, found[0]
            journal.write()


_RANK = case(
    {severity: rank for rank, severity in enumerate(SEVERITIES)}, value=incidents.c.severity, else_=len(SEVERITIES)
)

_OF_A_RECORD = (
    "id",
    "alertname",
    "severity",
    "team",
    "service",
    "category",
    "fingerprint",
    "starts_at",
    "acknowledged_at",
    "resolved_at",
    "annotations",
)


def _incident(row: RowMapping) -> Incident:
    return Incident(**{name: row[name] for name in Incident.__dataclass_fields__})


def _record(row: RowMapping, notes: list[Note]) -> Record:
    values = {name: row[name] for name in _OF_A_RECORD if name != "annotations"}
    annotations = row["annotations"]
    return Record(
        **values,
        runbook_url=annotations.get("runbook_url", ""),
        dashboard_url=annotations.get("dashboard_url", ""),
        notes=tuple(notes),
    )


def _timeline(connection: Connection, number: int) -> list[Event]:
    told = [
        Event(row.at, row.kind, row.person, row.text)
        for row in connection.execute(select(events).where(events.c.incident_id == number).order_by(events.c.id))
    ]
    for row in connection.execute(select(notifications).where(notifications.c.incident_id == number)):
        opened = any(event.kind == OPENED and event.text == f"by {row.receiver}" for event in told)
        if row.times > 1 or not opened:
            told.append(Event(row.last_at, NOTIFIED, None, _notified(row.receiver, row.times, row.first_at)))
    return sorted(told, key=lambda event: event.at)


def _notified(receiver: str, times: int, first_at: datetime) -> str:
    return f"by {receiver}" if times == 1 else f"by {receiver}, {times} times since {format_time(first_at)}"


def _has_silence(connection: Connection, number: int, silence_id: str) -> bool:
    found = select(events.c.id).where(events.c.incident_id == number, events.c.silence_id == silence_id)
    return connection.execute(found).first() is not None
