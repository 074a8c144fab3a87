"""PagerDuty's incidents (pages), and the acknowledgements that were made there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, or_, select, update

from trust_ops.incidents.alertmanager import ESCALATION_LEVEL
from trust_ops.incidents.tables import incidents, page_acknowledgements, pages
from trust_ops.incidents.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class PageEvent:
    """An event of a page.

    Attributes:
        page_id: PagerDuty's id of its incident.
        at: When it occurred, by PagerDuty's clock.
    """

    page_id: str
    at: datetime


@dataclass(frozen=True)
class PagedIncidents:
    """The incidents that a page is about.

    Attributes:
        recorded: Whether there is any, including those that were resolved since.
        to_acknowledge: The numbers of those that an acknowledgement of the page concerns.
    """

    recorded: bool
    to_acknowledge: list[int]


def last_event_at(connection: Connection, page_id: str) -> datetime | None:
    """When the last event that was processed occurred; `None` for an unknown page."""
    found: datetime | None = connection.execute(select(pages.c.last_event_at).where(pages.c.id == page_id)).scalar()
    return found


def open_page(connection: Connection, event: PageEvent, matchers: Mapping[str, str]) -> list[str]:
    """Record a page; returns the ids of earlier pages about the same alerts that are acknowledged."""
    if last_event_at(connection, event.page_id) is None:
        row = {"id": event.page_id, "matchers": dict(matchers), "opened_at": event.at, "last_event_at": event.at}
        connection.execute(insert(pages), row)
    acknowledged = (
        select(pages.c.id, pages.c.matchers)
        .join(page_acknowledgements)
        .where(pages.c.id != event.page_id, page_acknowledgements.c.event_at < event.at)
    )
    return sorted({row.id for row in connection.execute(acknowledged) if row.matchers == dict(matchers)})


def processed(connection: Connection, event: PageEvent) -> None:
    """Record that an event has been processed, so that it and earlier ones have no effect if delivered again."""
    connection.execute(update(pages).where(pages.c.id == event.page_id).values(last_event_at=event.at))


def paged_incidents(connection: Connection, event: PageEvent) -> PagedIncidents:
    """The incidents of a page at the time of an event.

    An acknowledgement does not concern incidents that began later, that this event has acknowledged already, or that
    are acknowledged with a silence from elsewhere, which stays as it is.
    """
    page = connection.execute(select(pages.c.matchers, pages.c.opened_at).where(pages.c.id == event.page_id)).one()
    names = ("id", "labels", "starts_at", "resolved_at", "acknowledged_by", "silence_id")
    known = connection.execute(
        select(*(incidents.c[name] for name in names)).where(
            incidents.c.alertname == page.matchers.get("alertname", ""),
            or_(incidents.c.resolved_at.is_(None), incidents.c.resolved_at >= page.opened_at),
        )
    )
    matching = [row for row in known if _matches(page.matchers, row.labels)]
    acknowledged = connection.execute(
        select(page_acknowledgements).where(page_acknowledgements.c.incident_id.in_([row.id for row in matching]))
    ).all()
    done = {row.incident_id for row in acknowledged if (row.page_id, row.event_at) == (event.page_id, event.at)}
    in_pagerduty = {(row.incident_id, row.silence_id) for row in acknowledged}
    concerned = [
        row.id
        for row in matching
        if row.resolved_at is None and row.starts_at <= event.at and row.id not in done
        if row.acknowledged_by is None or (row.id, row.silence_id) in in_pagerduty
    ]
    return PagedIncidents(bool(matching), concerned)


def record_acknowledgement(connection: Connection, event: PageEvent, number: int, silence_id: str | None) -> None:
    """Record that an event of a page has acknowledged an incident."""
    forget_acknowledgement(connection, event.page_id, number)
    connection.execute(
        insert(page_acknowledgements),
        {"page_id": event.page_id, "incident_id": number, "silence_id": silence_id, "event_at": event.at},
    )


def acknowledged_incidents(connection: Connection, page_id: str) -> list[tuple[int, str | None]]:
    """The incidents that a page has acknowledged, each with its silence."""
    rows = select(page_acknowledgements).where(page_acknowledgements.c.page_id == page_id)
    return [(row.incident_id, row.silence_id) for row in connection.execute(rows)]


def withdraw(connection: Connection, page_id: str, number: int, silence_id: str | None, now: datetime) -> None:
    """Record that a page no longer acknowledges an incident. A later acknowledgement from elsewhere stays."""
    forget_acknowledgement(connection, page_id, number)
    unit = UnitOfWork(connection, now)
    for entry in unit.load((incidents.c.id == number) & incidents.c.resolved_at.is_(None)):
        if entry.state.silence_id == silence_id and entry.state.acknowledged_by is not None:
            entry.state.silence_id = None
            unit.lapse(entry, "no longer acknowledged in PagerDuty")
    unit.write()


def forget_acknowledgement(connection: Connection, page_id: str, number: int) -> None:
    """Delete the record that a page has acknowledged an incident."""
    connection.execute(
        delete(page_acknowledgements).where(
            page_acknowledgements.c.page_id == page_id, page_acknowledgements.c.incident_id == number
        )
    )


def _matches(matchers: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    if ESCALATION_LEVEL in matchers:
        # The page of an escalation has all labels of its only alert.
        return {name: value for name, value in matchers.items() if name != ESCALATION_LEVEL} == labels
    return all(labels.get(name, "") == value for name, value in matchers.items())
