"""The incidents that one transaction changes, and the changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, insert, select, update

from trust_ops.incidents.incident import ACKNOWLEDGED, LAPSED, NOTE, OPENED, REOPENED, RESOLVED
from trust_ops.incidents.payload import Alert
from trust_ops.incidents.tables import NAME_LENGTH, events, incidents


@dataclass
class State:
    """The mutable attributes of an incident, one per column."""

    changed_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_until: datetime | None = None
    silence_id: str | None = None
    absent_since: datetime | None = None
    resolved_at: datetime | None = None


_STATE = tuple(State.__dataclass_fields__)


class TrackedIncident:
    """An incident of a unit of work; `id` is -1 until it is first written."""

    def __init__(self, fingerprint: str, starts_at: datetime, state: State, id: int = -1) -> None:  # noqa: A002
        self.id = id
        self.fingerprint = fingerprint
        self.starts_at = starts_at
        self.state = state
        self.stored: State | None = None if id == -1 else State(**asdict(state))

    @property
    def open(self) -> bool:
        """Whether the incident is not resolved."""
        return self.state.resolved_at is None


class UnitOfWork:
    """Loads incidents, changes them in memory, and writes all changes at once.

    Args:
        connection: A transaction of `Database.write`.
        now: The time of all changes.
    """

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.now = now
        self._connection = connection
        self._entries: dict[str, list[TrackedIncident]] = {}
        self._new: list[tuple[TrackedIncident, dict[str, Any]]] = []
        self._events: list[tuple[TrackedIncident, dict[str, Any]]] = []

    def load(self, condition: ColumnElement[bool]) -> list[TrackedIncident]:
        """Load the incidents that match a condition, ordered by start."""
        columns = [incidents.c[name] for name in ("id", "fingerprint", "starts_at", *_STATE)]
        rows = self._connection.execute(select(*columns).where(condition).order_by(incidents.c.starts_at)).mappings()
        loaded = []
        for row in rows:
            state = State(**{name: row[name] for name in _STATE})
            entry = TrackedIncident(row["fingerprint"], row["starts_at"], state, row["id"])
            self._entries.setdefault(entry.fingerprint, []).append(entry)
            loaded.append(entry)
        return loaded

    def of(self, fingerprint: str) -> list[TrackedIncident]:
        """The loaded incidents of an alert."""
        return self._entries.get(fingerprint, [])

    def open(self, alert: Alert, alertmanager_url: str, text: str) -> TrackedIncident:
        """Open an incident, and resolve an earlier open one of the same alert."""
        entry = TrackedIncident(alert.fingerprint, alert.starts_at, State(changed_at=self.now))
        self._new.append((entry, _identity(alert, alertmanager_url)))
        self._add_event(entry, OPENED, text=text)
        for earlier in self.of(alert.fingerprint):
            if earlier.open and earlier.starts_at < entry.starts_at:
                # The silence still applies to the alert, so it moves to the new incident.
                entry.state.silence_id, earlier.state.silence_id = earlier.state.silence_id, None
                self.resolve(earlier, entry.starts_at, "the alert fired again")
        self._entries.setdefault(alert.fingerprint, []).append(entry)
        return entry

    def resolve(self, entry: TrackedIncident, at: datetime, text: str) -> None:
        """Resolve an incident, at a time neither before its start nor in the future."""
        entry.state.resolved_at = max(entry.starts_at, min(at, self.now))
        entry.state.absent_since = None
        entry.state.changed_at = self.now
        self._add_event(entry, RESOLVED, at=entry.state.resolved_at, text=text)

    def reopen(self, entry: TrackedIncident, text: str) -> None:
        """Reopen a resolved incident."""
        entry.state.resolved_at = None
        entry.state.changed_at = self.now
        self._add_event(entry, REOPENED, text=text)

    def acknowledge(
        self,
        entry: TrackedIncident,
        person: str,
        text: str,
        *,
        at: datetime | None = None,
        until: datetime | None = None,
        silence_id: str | None = None,
    ) -> None:
        """Record an acknowledgement."""
        moment = at or self.now
        entry.state.acknowledged_at = entry.state.acknowledged_at or moment
        entry.state.acknowledged_by = person[:NAME_LENGTH]
        entry.state.acknowledged_until = until
        entry.state.changed_at = self.now
        self._add_event(entry, ACKNOWLEDGED, at=moment, person=person, text=text, silence_id=silence_id)

    def lapse(self, entry: TrackedIncident, text: str = "the silence expired while the alert was still firing") -> None:
        """Record that the acknowledgement has lapsed."""
        person = entry.state.acknowledged_by
        entry.state.acknowledged_by = entry.state.acknowledged_until = None
        entry.state.changed_at = self.now
        self._add_event(entry, LAPSED, person=person, text=text)

    def note(self, entry: TrackedIncident, person: str, text: str) -> None:
        """Add a note."""
        self._add_event(entry, NOTE, person=person, text=text)

    def write(self) -> None:
        """Write all changes. New incidents get their `id`."""
        if self._new:
            rows = [
                {"fingerprint": entry.fingerprint, "starts_at": entry.starts_at, **identity, **asdict(entry.state)}
                for entry, identity in self._new
            ]
            made = insert(incidents).returning(incidents.c.id, sort_by_parameter_order=True)
            for (entry, _), number in zip(self._new, self._connection.execute(made, rows).scalars(), strict=True):
                entry.id = number
        changed = [entry for entry in self._all() if entry.stored is not None and entry.stored != entry.state]
        if changed:
            changes = update(incidents).where(incidents.c.id == bindparam("which"))
            self._connection.execute(changes, [{"which": entry.id, **asdict(entry.state)} for entry in changed])
        if self._events:
            rows = [{"incident_id": entry.id, **values} for entry, values in self._events]
            self._connection.execute(insert(events), rows)

    def _all(self) -> Iterable[TrackedIncident]:
        return (entry for entries in self._entries.values() for entry in entries)

    def _add_event(
        self,
        entry: TrackedIncident,
        kind: str,
        *,
        at: datetime | None = None,
        person: str | None = None,
        text: str = "",
        silence_id: str | None = None,
    ) -> None:
        values = {
            "at": at or self.now,
            "kind": kind,
            "person": None if person is None else person[:NAME_LENGTH],
            "text": text,
            "silence_id": silence_id,
        }
        self._events.append((entry, values))


def _identity(alert: Alert, alertmanager_url: str) -> dict[str, Any]:
    names = ("alertname", "severity", "team", "service", "category")
    return {
        **{name: alert.labels.get(name, "")[:NAME_LENGTH] for name in names},
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "generator_url": alert.generator_url,
        "alertmanager_url": alertmanager_url,
    }
