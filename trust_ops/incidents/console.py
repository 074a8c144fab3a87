"""Prints incidents and reviews to a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from trust_ops.incidents import review_page
from trust_ops.incidents.incident import Event, Incident
from trust_ops.incidents.review import Review
from trust_ops.incidents.times import format_duration
from trust_otel.text import visible_text

_COLOURS = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
_SHOWN = ("summary", "description", "runbook_url")
_VARIABLES: Final = {
    "deployment_environment_name": "var-environment",
    "service_name": "var-service",
    "service_instance_id": "var-instance",
}
"""Parameters of the dashboards, by the label of an alert that they select."""


def print_incidents(console: Console, found: Sequence[Incident], more: int, now: datetime) -> None:
    """Print one line per incident: what it is, since when, and who acknowledged it."""
    if not found:
        console.print("No incidents.")
        return
    table = _table("id", "since", "severity", "alert", "service", "acknowledged by")
    for one in found:
        style = "dim" if one.resolved_at is not None else _COLOURS.get(one.severity, "")
        cells = (str(one.id), _since(one, now), one.severity, one.alertname, one.service, _acknowledged_by(one, now))
        table.add_row(*(_text(cell, style) for cell in cells))
    console.print(table)
    if more:
        console.print(f"and {more} more: raise --limit")


def print_incident(console: Console, found: Incident, timeline: Sequence[Event], now: datetime) -> None:
    """Print the details and the timeline of an incident."""
    head = f"Incident {found.id}: {found.alertname}"
    console.print(_text(head, _COLOURS.get(found.severity, "bold")))
    # Folded, not truncated: a truncated link leads nowhere.
    table = Table(Column(), Column(overflow="fold"), box=None, show_header=False, pad_edge=False)
    facts = {
        "since": _since(found, now) if found.resolved_at else f"{_second(found.starts_at)} UTC ({_since(found, now)})",
        "acknowledged by": _acknowledged_by(found, now),
        **{name.removesuffix("_url"): found.annotations[name] for name in _SHOWN if found.annotations.get(name)},
        "dashboard": _dashboard(found),
        "rule": found.generator_url,
        "Alertmanager": found.alertmanager_url,
    }
    for name, value in {**facts, **dict(sorted(found.labels.items()))}.items():
        if value:
            table.add_row(_text(name, "dim"), _text(value))
    console.print(table)
    console.print()
    for event in timeline:
        who = f" {event.person}" if event.person else ""
        said = f": {event.text}" if event.text else ""
        # Continuation lines of a note must not look like events.
        line = f"{_second(event.at)} UTC  {event.kind}{who}{said}".replace("\n", "\n    ")
        console.print(_text(line))


def print_review(console: Console, review: Review) -> None:
    """Print a review."""
    console.print(_text(review_page.title(review), "bold"))
    for section in review_page.sections(review):
        console.print()
        console.print(_text(section.title, "bold"))
        if section.text:
            console.print(_text(section.text))
        if section.rows:
            table = _table(*section.columns)
            for row in section.rows:
                table.add_row(*(_text(cell) for cell in row))
            console.print(table)


def _table(*headings: str) -> Table:
    # Wrapped, not truncated: a truncated name cannot be searched for.
    return Table(*(Column(heading, overflow="fold") for heading in headings), box=None, pad_edge=False)


def _since(one: Incident, now: datetime) -> str:
    if one.resolved_at is not None:
        return f"{_second(one.starts_at)} UTC, for {format_duration(one.resolved_at - one.starts_at)}"
    return format_duration(now - one.starts_at)


def _dashboard(one: Incident) -> str:
    """The panel of the alert, for its environment, service and instance, as in notifications."""
    url = one.annotations.get("dashboard_url", "")
    selected = {parameter: one.labels[label] for label, parameter in _VARIABLES.items() if label in one.labels}
    if "var-service" in selected:
        # The empty environment is that of services that set none.
        selected = {"var-environment": "", **selected}
    if not url or not selected:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(selected, quote_via=quote, safe='')}"


def _acknowledged_by(one: Incident, now: datetime) -> str:
    if one.acknowledged_by is not None:
        until = one.acknowledged_until
        if until is None or one.resolved_at is not None:
            return one.acknowledged_by
        if until > now:
            return f"{one.acknowledged_by} for {format_duration(until - now)}"
    return "-" if one.acknowledged_at is None else "lapsed"


def _second(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _text(text: str, style: str = "") -> Text:
    # Labels and notes are untrusted.
    return Text(visible_text(text, keep="\n\t"), style)
