"""The database tables, for SQLite and PostgreSQL."""

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
"""Maximum length of values in columns of their own; the labels keep the full value."""


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC. SQLite stores no time zone, so values are converted to UTC first."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC."""
        return None if value is None else value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; a value without a time zone is in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


metadata = MetaData()

schema = Table(
    "trust_incidents_schema",
    metadata,
    Column("version", Integer, nullable=False),
)

# A single row, updated to check that the database is writable.
heartbeat = Table(
    "trust_incidents_heartbeat",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
)

incidents = Table(
    "trust_incidents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    *(
        Column(name, String(NAME_LENGTH), nullable=False)
        for name in ("alertname", "severity", "team", "service", "category")
    ),
    Column("labels", JSON, nullable=False),
    Column("annotations", JSON, nullable=False),
    Column("generator_url", Text, nullable=False),
    Column("alertmanager_url", Text, nullable=False),
    # When the state last changed, by the clock of the receiver.
    Column("changed_at", UtcDateTime, nullable=False),
    # The first acknowledgement; the current one and its end.
    Column("acknowledged_at", UtcDateTime),
    Column("acknowledged_by", String(NAME_LENGTH)),
    Column("acknowledged_until", UtcDateTime),
    # The silence that the receiver created, until it is expired.
    Column("silence_id", String(64)),
    # Since when the alert has been missing from Alertmanager.
    Column("absent_since", UtcDateTime),
    Column("resolved_at", UtcDateTime),
    UniqueConstraint("fingerprint", "starts_at"),
    Index("trust_incidents_starts_at", "starts_at"),
    Index("trust_incidents_resolved_at", "resolved_at"),
    # Ids are never reused: somebody may have noted one.
    sqlite_autoincrement=True,
)

events = Table(
    "trust_incident_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("incident_id", ForeignKey(incidents.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("person", String(NAME_LENGTH)),
    Column("text", Text, nullable=False),
    Column("silence_id", String(64)),
)

# One row per receiver, not per repeat, so that an alert that fires for weeks takes little space.
notifications = Table(
    "trust_incident_notifications",
    metadata,
    Column("incident_id", ForeignKey(incidents.c.id, ondelete="CASCADE"), primary_key=True),
    Column("receiver", String(NAME_LENGTH), primary_key=True),
    Column("times", Integer, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)

# PagerDuty's incidents that are about alerts of Alertmanager, by PagerDuty's id.
pages = Table(
    "trust_incident_pages",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("matchers", JSON, nullable=False),
    # By PagerDuty's clock, which also orders its events.
    Column("opened_at", UtcDateTime, nullable=False),
    Column("last_event_at", UtcDateTime, nullable=False, index=True),
)

page_acknowledgements = Table(
    "trust_incident_page_acknowledgements",
    metadata,
    Column("page_id", ForeignKey(pages.c.id, ondelete="CASCADE"), primary_key=True),
    Column("incident_id", ForeignKey(incidents.c.id, ondelete="CASCADE"), primary_key=True, index=True),
    Column("silence_id", String(64)),
    Column("event_at", UtcDateTime, nullable=False),
)
