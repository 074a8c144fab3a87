"""Statistics of a period: number of alerts, time to acknowledge and to resolve."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from statistics import median

from trust_ops.incidents.incident import SEVERITIES
from trust_ops.incidents.records import Record
from trust_ops.incidents.review_period import Period

SHORT_LIVED = timedelta(minutes=5)
"""An alert that resolves within this time needed no action; also the target for acknowledging critical alerts."""

LEVELS = {
    "L2": timedelta(minutes=15),
    "L3": timedelta(minutes=30),
    "L4": timedelta(minutes=60),
}
"""How long a critical alert waits for an acknowledgement before it escalates to each level."""


@dataclass(frozen=True)
class DurationStatistics:
    """Number of durations, their median and 90th percentile (nearest rank); `None` if there are none."""

    count: int
    median: timedelta | None
    ninety: timedelta | None


@dataclass(frozen=True)
class Summary:
    """Statistics of a period.

    Attributes:
        alerts: Alerts that started in it.
        per_week: The average per week.
        by_severity: Alerts by severity, most severe first.
        by_team: Alerts by team, most frequent first.
        acknowledged: How many of them were acknowledged.
        critical: How many of them were critical.
        critical_in_time: How many of these were acknowledged or resolved within 5 minutes.
        escalated: How many critical alerts reached each escalation level.
        to_acknowledge: From the start to the first acknowledgement.
        to_resolve: From the start to the resolution.
        unresolved: How many are still open.
    """

    alerts: int
    per_week: float
    by_severity: dict[str, int]
    by_team: dict[str, int]
    acknowledged: int
    critical: int
    critical_in_time: int
    escalated: dict[str, int]
    to_acknowledge: DurationStatistics
    to_resolve: DurationStatistics
    unresolved: int


def summarize(records: Sequence[Record], over: Period, now: datetime) -> Summary:
    """Statistics of the alerts that started in a period."""
    critical = [record for record in records if record.severity == "critical"]
    waits = [waited(record, now) for record in critical]
    return Summary(
        alerts=len(records),
        per_week=len(records) / Period(over.start, min(over.end, now)).weeks,
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
    """How long an alert waited for an acknowledgement."""
    return (_acknowledged_or_resolved_at(record) or now) - record.starts_at


def _acknowledged_or_resolved_at(record: Record) -> datetime | None:
    """When it was acknowledged or resolved, whichever came first."""
    ends = [moment for moment in (record.acknowledged_at, record.resolved_at) if moment is not None]
    return min(ends, default=None)


def _in_time(record: Record) -> bool:
    # An open, unacknowledged alert is not in time, however recent.
    handled_at = _acknowledged_or_resolved_at(record)
    return handled_at is not None and handled_at - record.starts_at <= SHORT_LIVED


def _times(durations: Iterable[timedelta]) -> DurationStatistics:
    ordered = sorted(durations)
    if not ordered:
        return DurationStatistics(0, None, None)
    middle = timedelta(seconds=median(duration.total_seconds() for duration in ordered))
    return DurationStatistics(len(ordered), middle, ordered[ceil(len(ordered) * 9 / 10) - 1])


def times_to_resolve(records: Iterable[Record]) -> DurationStatistics:
    """Time to resolve of the resolved alerts."""
    return _times(record.resolved_at - record.starts_at for record in records if record.resolved_at is not None)


def _by_severity(records: Iterable[Record]) -> dict[str, int]:
    counts = Counter(record.severity for record in records)
    known = {severity: counts.pop(severity, 0) for severity in SEVERITIES}
    return {**known, **{severity or "none": count for severity, count in sorted(counts.items())}}


def counts(values: Iterable[str]) -> dict[str, int]:
    """How often each value occurs, most frequent first."""
    return dict(sorted(Counter(value or "none" for value in values).items(), key=lambda item: (-item[1], item[0])))
