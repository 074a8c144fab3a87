"""Stores incidents in the database; each query and each change is one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, case, delete, func, insert, or_, select, update

from trust_ops.incidents import pages, reconcile, tables
from trust_ops.incidents.alertmanager import ActiveAlerts
from trust_ops.incidents.database import Database
from trust_ops.incidents.incident import NOTE, NOTIFIED, OPENED, SEVERITIES, Event, Incident
from trust_ops.incidents.notifications import deliver
from trust_ops.incidents.pages import PagedIncidents, PageEvent
from trust_ops.incidents.payload import Notification
from trust_ops.incidents.records import Note, Record
from trust_ops.incidents.tables import events, heartbeat, incidents, notifications
from trust_ops.incidents.times import format_time, utc_now
from trust_ops.incidents.unit_of_work import TrackedIncident, UnitOfWork


class NoSuchIncidentError(LookupError):
    """There is no incident with that number."""


class AlreadyResolvedError(RuntimeError):
    """A resolved incident cannot be acknowledged."""

    def __init__(self, number: int, resolved_at: datetime) -> None:
        super().__init__(f"incident {number} was resolved at {format_time(resolved_at)} and cannot be acknowledged")


class Store:
    """The stored incidents. Every method raises DatabaseUnavailableError.

    Args:
        database: The database.
        clock: The current time.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def check(self) -> None:
        """Check that the database is writable, by updating a single row."""
        now = self._clock()
        with self._database.write() as connection:
            if connection.execute(update(heartbeat).values(at=now)).rowcount == 0:
                connection.execute(insert(heartbeat).values(id=1, at=now))

    def deliver(self, notification: Notification) -> Counter[str]:
        """Record a notification of Alertmanager; returns the number of alerts by outcome."""
        with self._database.write() as connection:
            return deliver(connection, notification, self._clock())

    def reconcile(self, active: ActiveAlerts, asked_at: datetime) -> None:
        """Apply the active alerts that Alertmanager had at `asked_at`."""
        with self._database.write() as connection:
            reconcile.reconcile(connection, active, asked_at, self._clock())

    def incident(self, number: int) -> tuple[Incident, list[Event]]:
        """An incident and its timeline. Raises NoSuchIncidentError."""
        with self._database.read() as connection:
            row = connection.execute(select(incidents).where(incidents.c.id == number)).mappings().one_or_none()
            if row is None:
                raise NoSuchIncidentError(f"there is no incident {number}")
            return _incident(row), _timeline(connection, number)

    def incidents(self, *, only_open: bool, limit: int) -> tuple[list[Incident], int]:
        """Incidents, and how many more there are: open ones by severity, or all with the newest first."""
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
        self,
        number: int,
        person: str,
        comment: str,
        *,
        until: datetime | None = None,
        silence_id: str | None = None,
        page: PageEvent | None = None,
    ) -> str | None:
        """Record an acknowledgement; returns the id of the silence that it replaces.

        Args:
            number: The incident.
            person: Who acknowledges it.
            comment: Their comment.
            until: When the silence ends.
            silence_id: The silence, which is expired with the incident.
            page: The event of PagerDuty that acknowledges it, if any.

        Raises:
            NoSuchIncidentError, AlreadyResolvedError: There is nothing to acknowledge.
        """
        with self._open_unit(number) as (connection, unit, entry):
            if entry.state.resolved_at is not None:
                raise AlreadyResolvedError(number, entry.state.resolved_at)
            # The poller may have recorded the silence already.
            seen = silence_id is not None and _has_silence(connection, number, silence_id)
            if not seen:
                unit.acknowledge(entry, person, comment, until=until, silence_id=silence_id)
            if page is not None:
                pages.record_acknowledgement(connection, page, number, silence_id)
            replaced, entry.state.silence_id = entry.state.silence_id, silence_id
            return replaced

    def open_page(self, event: PageEvent, matchers: Mapping[str, str]) -> list[str]:
        """Record a page; returns the ids of earlier pages about the same alerts that are acknowledged."""
        with self._database.write() as connection:
            return pages.open_page(connection, event, matchers)

    def last_page_event(self, page_id: str) -> datetime | None:
        """When the last event of a page that was processed occurred; `None` for an unknown page."""
        with self._database.read() as connection:
            return pages.last_event_at(connection, page_id)

    def page_event_processed(self, event: PageEvent) -> None:
        """Record that an event of a page has been processed."""
        with self._database.write() as connection:
            pages.processed(connection, event)

    def paged_incidents(self, event: PageEvent) -> PagedIncidents:
        """The incidents that a known page is about, and those that an acknowledgement concerns."""
        with self._database.read() as connection:
            return pages.paged_incidents(connection, event)

    def acknowledged_by_page(self, page_id: str) -> list[tuple[int, str | None]]:
        """The incidents that a page has acknowledged, each with its silence."""
        with self._database.read() as connection:
            return pages.acknowledged_incidents(connection, page_id)

    def withdraw(self, page_id: str, number: int, silence_id: str | None) -> None:
        """Record that a page no longer acknowledges an incident."""
        with self._database.write() as connection:
            pages.withdraw(connection, page_id, number, silence_id, self._clock())

    def note(self, number: int, person: str, text: str) -> None:
        """Add a note to the timeline. Raises NoSuchIncidentError."""
        with self._open_unit(number) as (_, unit, entry):
            unit.note(entry, person, text)

    def silences_to_expire(self) -> list[tuple[int, str]]:
        """Resolved incidents whose silence is still to be expired, each with the silence's id."""
        query = select(incidents.c.id, incidents.c.silence_id).where(
            incidents.c.silence_id.is_not(None), incidents.c.resolved_at.is_not(None)
        )
        with self._database.read() as connection:
            return [(row.id, row.silence_id) for row in connection.execute(query)]

    def silence_expired(self, number: int) -> None:
        """Record that the silence of an incident is expired."""
        with self._database.write() as connection:
            connection.execute(update(incidents).where(incidents.c.id == number).values(silence_id=None))

    def records(self, start: datetime, end: datetime) -> list[Record]:
        """Records of the incidents that were open at any time from `start` to `end` (exclusive)."""
        overlaps = (incidents.c.starts_at < end) & or_(
            incidents.c.resolved_at.is_(None), incidents.c.resolved_at >= start
        )
        columns = [incidents.c[name] for name in _RECORD_COLUMNS]
        with self._database.read() as connection:
            notes: dict[int, list[Note]] = {}
            notes_query = select(events).join(incidents).where(overlaps, events.c.kind == NOTE).order_by(events.c.id)
            for event in connection.execute(notes_query):
                notes.setdefault(event.incident_id, []).append(Note(event.person or "", event.text))
            rows = connection.execute(select(*columns).where(overlaps).order_by(incidents.c.starts_at)).mappings()
            return [_record(row, notes.get(row["id"], [])) for row in rows]

    def delete_resolved(self, older_than: timedelta) -> int:
        """Delete incidents that were resolved longer ago; returns their number."""
        oldest = self._clock() - older_than
        with self._database.write() as connection:
            connection.execute(delete(tables.pages).where(tables.pages.c.last_event_at < oldest))
            return connection.execute(delete(incidents).where(incidents.c.resolved_at < oldest)).rowcount

    @contextmanager
    def _open_unit(self, number: int) -> Iterator[tuple[Connection, UnitOfWork, TrackedIncident]]:
        with self._database.write() as connection:
            unit = UnitOfWork(connection, self._clock())
            found = unit.load(incidents.c.id == number)
            if not found:
                raise NoSuchIncidentError(f"there is no incident {number}")
            yield connection, unit, found[0]
            unit.write()


_RANK = case(
    {severity: rank for rank, severity in enumerate(SEVERITIES)}, value=incidents.c.severity, else_=len(SEVERITIES)
)

_RECORD_COLUMNS = (
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
    values = {name: row[name] for name in _RECORD_COLUMNS if name != "annotations"}
    annotations = row["annotations"]
    return Record(
        **values,
        runbook_url=annotations.get("runbook_url", ""),
        dashboard_url=annotations.get("dashboard_url", ""),
        notes=tuple(notes),
    )


def _timeline(connection: Connection, number: int) -> list[Event]:
    timeline = [
        Event(row.at, row.kind, row.person, row.text)
        for row in connection.execute(select(events).where(events.c.incident_id == number).order_by(events.c.id))
    ]
    for row in connection.execute(select(notifications).where(notifications.c.incident_id == number)):
        opened = any(event.kind == OPENED and event.text == f"by {row.receiver}" for event in timeline)
        if row.times > 1 or not opened:
            timeline.append(Event(row.last_at, NOTIFIED, None, _notified(row.receiver, row.times, row.first_at)))
    return sorted(timeline, key=lambda event: event.at)


def _notified(receiver: str, times: int, first_at: datetime) -> str:
    return f"by {receiver}" if times == 1 else f"by {receiver}, {times} times since {format_time(first_at)}"


def _has_silence(connection: Connection, number: int, silence_id: str) -> bool:
    found = select(events.c.id).where(events.c.incident_id == number, events.c.silence_id == silence_id)
    return connection.execute(found).first() is not None
