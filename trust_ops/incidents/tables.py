"""The tables that hold incidents, in SQLite and PostgreSQL alike."""

from __future__ import annotations

from datetime import datetime, timezone

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

SCHEMA_VERSION = 1

NAME_LENGTH = 255
"""Most characters of what stands in a column of its own; the labels keep the whole."""


class Moment(TypeDecorator[datetime]):
    """A time, in UTC. SQLite keeps no zone, so none but UTC ever gets there."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What is stored."""
        return None if value is None else value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What was stored."""
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


metadata = MetaData()

schema = Table(
    "trust_incidents_schema",
    metadata,
    Column("version", Integer, nullable=False),
)

# One row, written to see whether the database can be written to.
heartbeat = Table(
    "trust_incidents_heartbeat",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
)

incidents = Table(
    "trust_incidents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("starts_at", Moment, nullable=False),
    *(
        Column(name, String(NAME_LENGTH), nullable=False)
        for name in ("alertname", "severity", "team", "service", "category")
    ),
    Column("labels", JSON, nullable=False),
    Column("annotations", JSON, nullable=False),
    Column("generator_url", Text, nullable=False),
    Column("alertmanager_url", Text, nullable=False),
    # When the state last changed, by the clock of the receiver.
    Column("changed_at", Moment, nullable=False),
    # The first time; who holds it now, and until when.
    Column("acknowledged_at", Moment),
    Column("acknowledged_by", String(NAME_LENGTH)),
    Column("acknowledged_until", Moment),
    # The silence that the receiver has made, as long as it is to be ended with the incident.
    Column("silence_id", String(64)),
    # Since when Alertmanager has no longer had the alert.
    Column("absent_since", Moment),
    Column("resolved_at", Moment),
    UniqueConstraint("fingerprint", "starts_at"),
    Index("trust_incidents_starts_at", "starts_at"),
    Index("trust_incidents_resolved_at", "resolved_at"),
    # An id that somebody has written down never names another incident.
    sqlite_autoincrement=True,
)

events = Table(
    "trust_incident_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("incident_id", ForeignKey(incidents.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("at", Moment, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("person", String(NAME_LENGTH)),
    Column("text", Text, nullable=False),
    Column("silence_id", String(64)),
)

# A row for each receiver and not for each repetition, so that an alert that fires for weeks stays small.
notifications = Table(
    "trust_incident_notifications",
    metadata,
    Column("incident_id", ForeignKey(incidents.c.id, ondelete="CASCADE"), primary_key=True),
    Column("receiver", String(NAME_LENGTH), primary_key=True),
    Column("times", Integer, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
)
