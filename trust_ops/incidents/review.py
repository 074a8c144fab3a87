"""The numbers of a review: how many alerts, how soon people took them, which rules to change."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from trust_ops.incidents import review_period
from trust_ops.incidents.records import Record
from trust_ops.incidents.review_period import Span
from trust_ops.incidents.summary import LEVELS, SHORT, Summary, Times, counts, summarize, times_to_resolve, waited

RETURN = timedelta(hours=1)
"""What fires again within this has flapped."""

_FLAPS = 2


@dataclass(frozen=True)
class RuleNumbers:
    """What one rule did.

    Attributes:
        count: How often it fired.
        never_acknowledged: Share that ended, or still fires, without anybody having taken it.
        short: Share that ended within 5 minutes.
        flaps: How often the same alert fired again within an hour of its end.
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
    """An alert that kept coming back.

    Attributes:
        flaps: How often it fired again within an hour of its end.
    """

    alertname: str
    service: str
    flaps: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Escalation:
    """A critical alert that nobody took in time.

    Attributes:
        waited: Until it was acknowledged or over, or until now.
        level: The highest level that this calls.
    """

    id: int
    alertname: str
    service: str
    team: str
    starts_at: datetime
    waited: timedelta
    level: str


@dataclass(frozen=True)
class Page:
    """A runbook or a dashboard panel that alerts pointed to."""

    url: str
    alertnames: tuple[str, ...]
    alerts: int
    to_resolve: Times


@dataclass(frozen=True)
class Said:
    """A note of somebody."""

    id: int
    alertname: str
    person: str
    text: str


@dataclass(frozen=True)
class Part:
    """A part of the period, such as a week of a month."""

    start: datetime
    summary: Summary


@dataclass(frozen=True)
class Coverage:
    """Whether the alerts cover what they should.

    Attributes:
        never_fired: Rules that did not fire; `None` when the rules are not known.
        unknown: Alerts that fired and are none of the rules.
        without_runbook: Alerts that name no runbook.
        without_dashboard: Alerts that name no panel.
        by_category: How many alerts of each category.
        by_service: How many alerts of each service.
    """

    never_fired: tuple[str, ...] | None
    unknown: tuple[str, ...]
    without_runbook: tuple[str, ...]
    without_dashboard: tuple[str, ...]
    by_category: dict[str, int]
    by_service: dict[str, int]


@dataclass(frozen=True)
class Review:
    """All of it. Which parts a page shows depends on the period.

    Attributes:
        period: `week`, `month` or `quarter`.
        start, end: The period, from and until before.
        now: When it was asked for; what has not ended by then counts as lasting until then.
        this: The period in numbers.
        before: The period before it.
    """

    period: str
    start: datetime
    end: datetime
    now: datetime
    this: Summary
    before: Summary
    parts: tuple[Part, ...]
    rules: tuple[RuleNumbers, ...]
    flapping: tuple[Flapping, ...]
    escalations: tuple[Escalation, ...]
    runbooks: tuple[Page, ...]
    dashboards: tuple[Page, ...]
    notes: tuple[Said, ...]
    coverage: Coverage = field(repr=False)


def review(records: Sequence[Record], period: str, this: Span, rules: frozenset[str] | None, now: datetime) -> Review:
    """Count.

    Args:
        records: All incidents that were open at any time in the period or the one before, in any order.
        period: `week`, `month` or `quarter`.
        this: The period.
        rules: Names of all alerts that could fire; `None` when they are not known.
        now: The time.
    """
    records = sorted(records, key=lambda record: (record.starts_at, record.id))
    began = [record for record in records if this.holds(record.starts_at)]
    earlier = review_period.before(period, this)
    divide = review_period.months if period == review_period.QUARTER else review_period.weeks
    flaps = _flaps(records, this)
    return Review(
        period=period,
        start=this.start,
        end=this.end,
        now=now,
        this=summarize(began, this, now),
        before=summarize([record for record in records if earlier.holds(record.starts_at)], earlier, now),
        parts=tuple(
            Part(part.start, summarize([record for record in began if part.holds(record.starts_at)], part, now))
            for part in divide(this)
        ),
        rules=_rules(began, flaps),
        flapping=_flapping(flaps),
        escalations=_escalations(began, now),
        runbooks=_pages(began, lambda record: record.runbook_url),
        dashboards=_pages(began, lambda record: record.dashboard_url),
        notes=tuple(
            Said(record.id, record.alertname, note.person, note.text) for record in began for note in record.notes
        ),
        coverage=_coverage(began, _fired(records, this), rules),
    )


def _flaps(records: Iterable[Record], this: Span) -> list[list[Record]]:
    """Of each alert, the incidents in the period that began within an hour of the end of the one before."""
    last_end: dict[str, datetime | None] = {}
    found: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        ended = last_end.get(record.fingerprint)
        if ended is not None and record.starts_at - ended < RETURN and this.holds(record.starts_at):
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


def _rules(records: Iterable[Record], flaps: Iterable[Sequence[Record]]) -> tuple[RuleNumbers, ...]:
    returned = Counter(_rule(record) for alert in flaps for record in alert)
    by_rule: defaultdict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for record in records:
        by_rule[_rule(record)].append(record)
    found = []
    for rule, fired in by_rule.items():
        never = sum(record.acknowledged_at is None for record in fired)
        short = sum(
            record.resolved_at is not None and record.resolved_at - record.starts_at <= SHORT for record in fired
        )
        found.append(
            RuleNumbers(
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


def _pages(records: Iterable[Record], url: Callable[[Record], str]) -> tuple[Page, ...]:
    by_url: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        if url(record):
            by_url[url(record)].append(record)
    found = [
        Page(address, tuple(sorted({record.alertname for record in led})), len(led), times_to_resolve(led))
        for address, led in by_url.items()
    ]
    return tuple(sorted(found, key=lambda page: (-page.alerts, page.url)))


def _fired(records: Iterable[Record], this: Span) -> frozenset[str]:
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
