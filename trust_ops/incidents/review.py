"""The statistics of a review: number of alerts, time to acknowledge, rules to tune."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from trust_ops.incidents import review_period
from trust_ops.incidents.records import Record
from trust_ops.incidents.review_period import Period
from trust_ops.incidents.summary import (
    LEVELS,
    SHORT_LIVED,
    DurationStatistics,
    Summary,
    counts,
    summarize,
    times_to_resolve,
    waited,
)

FLAP_WINDOW = timedelta(hours=1)
"""An alert that fires again within this time is flapping."""

_FLAPS = 2


@dataclass(frozen=True)
class RuleStatistics:
    """Statistics of one rule.

    Attributes:
        count: How often it fired.
        never_acknowledged: Share that was never acknowledged.
        short: Share that was resolved within 5 minutes.
        flaps: How often the same alert fired again within an hour of its resolution.
    """

    alertname: str
    severity: str
    team: str
    count: int
    never_acknowledged: float
    short: float
    flaps: int


@dataclass(frozen=True)
class Flapping:
    """A flapping alert.

    Attributes:
        flaps: How often it fired again within an hour of its resolution.
    """

    alertname: str
    service: str
    flaps: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Escalation:
    """A critical alert that was not acknowledged in time.

    Attributes:
        waited: Time until it was acknowledged or resolved, or until now.
        level: The highest escalation level reached.
    """

    id: int
    alertname: str
    service: str
    team: str
    starts_at: datetime
    waited: timedelta
    level: str


@dataclass(frozen=True)
class LinkedPage:
    """A runbook or dashboard panel that alerts link to."""

    url: str
    alertnames: tuple[str, ...]
    alerts: int
    to_resolve: DurationStatistics


@dataclass(frozen=True)
class ReviewNote:
    """A note on an incident."""

    id: int
    alertname: str
    person: str
    text: str


@dataclass(frozen=True)
class PeriodPart:
    """A part of the period, such as a week of a month."""

    start: datetime
    summary: Summary


@dataclass(frozen=True)
class Coverage:
    """Coverage of the alert rules.

    Attributes:
        never_fired: Rules that did not fire; `None` when the rules are unknown.
        unknown: Alerts that fired without a known rule.
        without_runbook: Alerts without a runbook.
        without_dashboard: Alerts without a panel.
        by_category: Number of alerts by category.
        by_service: Number of alerts by service.
    """

    never_fired: tuple[str, ...] | None
    unknown: tuple[str, ...]
    without_runbook: tuple[str, ...]
    without_dashboard: tuple[str, ...]
    by_category: dict[str, int]
    by_service: dict[str, int]


@dataclass(frozen=True)
class Review:
    """A complete review. Which parts are shown depends on the period.

    Attributes:
        period: `week`, `month` or `quarter`.
        start, end: The period; the end is exclusive.
        now: When the review was made; open incidents last until then.
        this: Statistics of the period.
        before: Statistics of the period before it.
    """

    period: str
    start: datetime
    end: datetime
    now: datetime
    this: Summary
    before: Summary
    parts: tuple[PeriodPart, ...]
    rules: tuple[RuleStatistics, ...]
    flapping: tuple[Flapping, ...]
    escalations: tuple[Escalation, ...]
    runbooks: tuple[LinkedPage, ...]
    dashboards: tuple[LinkedPage, ...]
    notes: tuple[ReviewNote, ...]
    coverage: Coverage = field(repr=False)


def review(records: Sequence[Record], period: str, this: Period, rules: frozenset[str] | None, now: datetime) -> Review:
    """Make the review.

    Args:
        records: All incidents that were open at any time in the period or the one before, in any order.
        period: `week`, `month` or `quarter`.
        this: The period.
        rules: Names of all alerts that could fire; `None` when unknown.
        now: The time.
    """
    records = sorted(records, key=lambda record: (record.starts_at, record.id))
    began = [record for record in records if this.contains(record.starts_at)]
    earlier = review_period.before(period, this)
    divide = review_period.months if period == review_period.QUARTER else review_period.weeks
    flaps = _flaps(records, this)
    return Review(
        period=period,
        start=this.start,
        end=this.end,
        now=now,
        this=summarize(began, this, now),
        before=summarize([record for record in records if earlier.contains(record.starts_at)], earlier, now),
        parts=tuple(
            PeriodPart(
                part.start, summarize([record for record in began if part.contains(record.starts_at)], part, now)
            )
            for part in divide(this)
        ),
        rules=_rules(began, flaps),
        flapping=_flapping(flaps),
        escalations=_escalations(began, now),
        runbooks=_pages(began, lambda record: record.runbook_url),
        dashboards=_pages(began, lambda record: record.dashboard_url),
        notes=tuple(
            ReviewNote(record.id, record.alertname, note.person, note.text) for record in began for note in record.notes
        ),
        coverage=_coverage(began, _fired(records, this), rules),
    )


def _flaps(records: Iterable[Record], this: Period) -> list[list[Record]]:
    """For each alert, its incidents in the period that started within an hour of the end of the previous one."""
    last_end: dict[str, datetime | None] = {}
    found: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        ended = last_end.get(record.fingerprint)
        if ended is not None and record.starts_at - ended < FLAP_WINDOW and this.contains(record.starts_at):
            found[record.fingerprint].append(record)
        last_end[record.fingerprint] = record.resolved_at
    return list(found.values())


def _flapping(flaps: Iterable[Sequence[Record]]) -> tuple[Flapping, ...]:
    found = [
        Flapping(alert[0].alertname, alert[0].service, len(alert), alert[0].starts_at, alert[-1].starts_at)
        for alert in flaps
        if len(alert) >= _FLAPS
    ]
    return tuple(sorted(found, key=lambda alert: (-alert.flaps, alert.alertname, alert.service)))


def _rules(records: Iterable[Record], flaps: Iterable[Sequence[Record]]) -> tuple[RuleStatistics, ...]:
    returned = Counter(_rule(record) for alert in flaps for record in alert)
    by_rule: defaultdict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for record in records:
        by_rule[_rule(record)].append(record)
    found = []
    for rule, fired in by_rule.items():
        never = sum(record.acknowledged_at is None for record in fired)
        short = sum(
            record.resolved_at is not None and record.resolved_at - record.starts_at <= SHORT_LIVED for record in fired
        )
        found.append(
            RuleStatistics(
                *rule,
                count=len(fired),
                never_acknowledged=never / len(fired),
                short=short / len(fired),
                flaps=returned[rule],
            )
        )
    return tuple(sorted(found, key=lambda rule: (-rule.count, rule.alertname, rule.severity)))


def _rule(record: Record) -> tuple[str, str, str]:
    return record.alertname, record.severity, record.team


def _escalations(records: Iterable[Record], now: datetime) -> tuple[Escalation, ...]:
    found = []
    for record in records:
        waiting = waited(record, now)
        reached = [level for level, after in LEVELS.items() if waiting > after]
        if record.severity == "critical" and reached:
            found.append(
                Escalation(
                    record.id, record.alertname, record.service, record.team, record.starts_at, waiting, reached[-1]
                )
            )
    return tuple(sorted(found, key=lambda one: -one.waited))


def _pages(records: Iterable[Record], url: Callable[[Record], str]) -> tuple[LinkedPage, ...]:
    by_url: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        if url(record):
            by_url[url(record)].append(record)
    found = [
        LinkedPage(
            address, tuple(sorted({record.alertname for record in linked})), len(linked), times_to_resolve(linked)
        )
        for address, linked in by_url.items()
    ]
    return tuple(sorted(found, key=lambda page: (-page.alerts, page.url)))


def _fired(records: Iterable[Record], this: Period) -> frozenset[str]:
    """The alerts that fired at any time in the period."""
    return frozenset(
        record.alertname
        for record in records
        if record.starts_at < this.end and (record.resolved_at is None or record.resolved_at >= this.start)
    )


def _coverage(records: Sequence[Record], fired: frozenset[str], rules: frozenset[str] | None) -> Coverage:
    return Coverage(
        never_fired=None if rules is None else tuple(sorted(rules - fired)),
        unknown=() if rules is None else tuple(sorted(fired - rules)),
        without_runbook=tuple(sorted({record.alertname for record in records if not record.runbook_url})),
        without_dashboard=tuple(sorted({record.alertname for record in records if not record.dashboard_url})),
        by_category=counts(record.category for record in records),
        by_service=counts(record.service for record in records),
    )
