"""A stretch of time in numbers: how many alerts, and how soon people took them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from statistics import median

from trust_ops.incidents.incident import SEVERITIES
from trust_ops.incidents.records import Record
from trust_ops.incidents.review_period import Span

SHORT = timedelta(minutes=5)
"""What resolves by itself within this needed nobody; and so soon a critical alert should be acknowledged."""

LEVELS = {
    "L2": timedelta(minutes=15),
    "L3": timedelta(minutes=30),
    "L4": timedelta(minutes=60),
}
"""How long a critical alert waits for an acknowledgement before the next level is called."""


@dataclass(frozen=True)
class Times:
    """How long something took: over how many, and median and 90th percentile (nearest rank); `None` over none."""

    count: int
    median: timedelta | None
    ninety: timedelta | None


@dataclass(frozen=True)
class Summary:
    """A stretch of time in numbers.

    Attributes:
        alerts: Alerts that began in it.
        per_week: The same on average.
        by_severity: The same by severity, from the worst on.
        by_team: The same by team, most first.
        acknowledged: How many of them were acknowledged.
        critical: How many of them were critical.
        critical_in_time: How many of these were acknowledged or over within 5 minutes.
        escalated: How many critical ones waited as long as it takes to call each level.
        to_acknowledge: From the beginning to the first acknowledgement.
        to_resolve: From the beginning to the end.
        unresolved: How many have not ended.
    """

    alerts: int
    per_week: float
    by_severity: dict[str, int]
    by_team: dict[str, int]
    acknowledged: int
    critical: int
    critical_in_time: int
    escalated: dict[str, int]
    to_acknowledge: Times
    to_resolve: Times
    unresolved: int


def summarize(records: Sequence[Record], over: Span, now: datetime) -> Summary:
    """The numbers of the alerts that began in a stretch of time."""
    critical = [record for record in records if record.severity == "critical"]
    waits = [waited(record, now) for record in critical]
    return Summary(
        alerts=len(records),
        per_week=len(records) / Span(over.start, min(over.end, now)).weeks,
        by_severity=_by_severity(records),
        by_team=counts(record.team for record in records),
        acknowledged=sum(record.acknowledged_at is not None for record in records),
        critical=len(critical),
        critical_in_time=sum(_in_time(record) for record in critical),
        escalated={level: sum(wait > after for wait in waits) for level, after in LEVELS.items()},
        to_acknowledge=_times(
            record.acknowledged_at - record.starts_at for record in records if record.acknowledged_at is not None
        ),
        to_resolve=times_to_resolve(records),
        unresolved=sum(record.resolved_at is None for record in records),
    )


def waited(record: Record, now: datetime) -> timedelta:
    """How long an alert called for somebody."""
    return (_taken(record) or now) - record.starts_at


def _taken(record: Record) -> datetime | None:
    """When somebody took it, or it was over."""
    ends = [moment for moment in (record.acknowledged_at, record.resolved_at) if moment is not None]
    return min(ends, default=None)


def _in_time(record: Record) -> bool:
    # What has just begun is not in time yet.
    taken = _taken(record)
    return taken is not None and taken - record.starts_at <= SHORT


def _times(durations: Iterable[timedelta]) -> Times:
    ordered = sorted(durations)
    if not ordered:
        return Times(0, None, None)
    middle = timedelta(seconds=median(duration.total_seconds() for duration in ordered))
    return Times(len(ordered), middle, ordered[ceil(len(ordered) * 9 / 10) - 1])


def times_to_resolve(records: Iterable[Record]) -> Times:
    """How long it took until the alerts ended, of those that have."""
    return _times(record.resolved_at - record.starts_at for record in records if record.resolved_at is not None)


def _by_severity(records: Iterable[Record]) -> dict[str, int]:
    counts = Counter(record.severity for record in records)
    known = {severity: counts.pop(severity, 0) for severity in SEVERITIES}
    return {**known, **{severity or "none": count for severity, count in sorted(counts.items())}}


def counts(values: Iterable[str]) -> dict[str, int]:
    """How often each value stands there, the most frequent first."""
    return dict(sorted(Counter(value or "none" for value in values).items(), key=lambda item: (-item[1], item[0])))
