"""The statistics of a review."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from trust_ops.incidents import review_period
from trust_ops.incidents.records import Note, Record
from trust_ops.incidents.review import Escalation, Flapping, Review, review
from trust_ops.incidents.summary import DurationStatistics

WEEK = review_period.period_ending("week", date(2026, 11, 29))
NOON = WEEK.start + timedelta(hours=12)
LATER = WEEK.end + timedelta(days=3)
RULES = frozenset({"TrustServiceDown", "TrustSlaViolation", "TrustVaultUnavailable"})

_numbers = iter(range(1, 10**9))


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def record(
    start: datetime = NOON,
    *,
    acknowledged: float | None = None,
    resolved: float | None = 60,
    name: str = "TrustServiceDown",
    **more: Any,
) -> Record:
    """An incident with this start, acknowledged and resolved this many minutes later."""
    values = {"severity": "critical", "team": "platform", "service": "issuer", "category": "availability"}
    return Record(
        **{
            "id": next(_numbers),
            "alertname": name,
            "fingerprint": f"{name}-{more.get('service', 'issuer')}",
            "starts_at": start,
            "acknowledged_at": None if acknowledged is None else start + minutes(acknowledged),
            "resolved_at": None if resolved is None else start + minutes(resolved),
            "runbook_url": "https://runbooks/a",
            "dashboard_url": "https://grafana/a",
            **values,
            **more,
        }
    )


def week_of(*found: Record, now: datetime = LATER, rules: frozenset[str] | None = RULES) -> Review:
    return review(found, "week", WEEK, rules, now)


def test_alerts_are_counted_in_the_period_they_started_in() -> None:
    before = record(WEEK.start - minutes(1))
    after = record(WEEK.end)
    result = week_of(
        before, record(), record(severity="warning", team="security"), record(severity="page", team=""), after
    )
    assert (result.this.alerts, result.before.alerts, result.this.per_week) == (3, 1, 3.0)
    assert result.this.by_severity == {"critical": 1, "warning": 1, "info": 0, "page": 1}
    assert result.this.by_team == {"none": 1, "platform": 1, "security": 1}


def test_the_order_of_the_records_changes_nothing() -> None:
    found = [record(NOON + minutes(7 * number), acknowledged=number, resolved=number + 1) for number in range(50)]
    expected = week_of(*found)
    random.Random(1).shuffle(found)
    assert week_of(*found) == expected


def test_alerts_a_week_of_a_period_that_is_not_over() -> None:
    result = week_of(record(WEEK.start), now=WEEK.start + timedelta(days=3.5))
    assert result.this.per_week == 2.0


def test_times_are_median_and_ninetieth_percentile_of_what_happened() -> None:
    found = [record(acknowledged=number, resolved=10 * number) for number in range(1, 11)]
    result = week_of(*found, record(resolved=None))
    assert result.this.to_acknowledge == DurationStatistics(10, minutes(5.5), minutes(9))
    assert result.this.to_resolve == DurationStatistics(10, minutes(55), minutes(90))
    assert (result.this.acknowledged, result.this.unresolved) == (10, 1)


def test_times_of_nothing_are_none() -> None:
    result = week_of()
    assert result.this.to_acknowledge == DurationStatistics(0, None, None)
    assert (result.rules, result.flapping, result.escalations, result.runbooks) == ((), (), (), ())


def test_the_noisiest_rules_come_first() -> None:
    found = [
        record(NOON, acknowledged=2, resolved=5),
        record(NOON + minutes(300), resolved=5.1),
        record(NOON + minutes(900), resolved=None),
        record(name="TrustSlaViolation", severity="warning", team="business", resolved=3),
    ]
    first, second = week_of(*found).rules
    assert (first.alertname, first.count, first.flaps) == ("TrustServiceDown", 3, 0)
    assert (first.never_acknowledged, first.short) == (2 / 3, 1 / 3)
    assert (second.severity, second.team, second.count, second.short) == ("warning", "business", 1, 1.0)


def test_a_rule_of_two_severities_is_two_rules() -> None:
    first, second = week_of(record(), record(severity="warning", fingerprint="other")).rules
    assert {first.severity, second.severity} == {"critical", "warning"}


def test_flapping_is_the_same_alert_within_an_hour_of_its_end() -> None:
    flapping = [record(NOON + minutes(start), resolved=10) for start in (0, 60, 120)]
    elsewhere = [record(NOON + minutes(start), resolved=10, service="archive") for start in (5, 200)]
    once = [record(NOON + minutes(start), resolved=10, name="TrustSlaViolation") for start in (0, 60)]
    result = week_of(*flapping, *elsewhere, *once)
    assert result.flapping == (Flapping("TrustServiceDown", "issuer", 2, NOON + minutes(60), NOON + minutes(120)),)
    assert result.rules[0].flaps == 2


@pytest.mark.parametrize(("gap", "flaps"), [(59.9, 1), (60, 0)])
def test_an_hour_apart_is_not_flapping(gap: float, flaps: int) -> None:
    result = week_of(record(resolved=10), record(NOON + minutes(10 + gap)))
    assert result.rules[0].flaps == flaps


def test_the_end_of_the_week_before_counts_for_flapping() -> None:
    result = week_of(record(WEEK.start - minutes(20), resolved=10), record(WEEK.start + minutes(5)))
    assert result.rules[0].flaps == 1


def test_critical_alerts_not_acknowledged_in_time_are_escalated() -> None:
    in_time = [
        record(acknowledged=15, resolved=300),
        record(resolved=15),
        record(resolved=300, severity="warning"),
    ]
    levels = [record(acknowledged=wait, resolved=300) for wait in (15.1, 30.1, 60.1)]
    unheeded = record(resolved=None)
    result = week_of(*in_time, *levels, unheeded)
    assert result.this.escalated == {"L2": 4, "L3": 3, "L4": 2}
    assert [(one.level, one.waited) for one in result.escalations] == [
        ("L4", LATER - NOON),
        ("L4", minutes(60.1)),
        ("L3", minutes(30.1)),
        ("L2", minutes(15.1)),
    ]
    assert result.escalations[0] == Escalation(
        unheeded.id, "TrustServiceDown", "issuer", "platform", NOON, LATER - NOON, "L4"
    )


def test_critical_alerts_are_in_time_within_five_minutes() -> None:
    found = [record(acknowledged=5), record(resolved=5), record(acknowledged=5.1), record(severity="info")]
    just_begun = record(NOON + minutes(59), resolved=None)
    result = week_of(*found, just_begun, now=NOON + minutes(60))
    assert (result.this.critical_in_time, result.this.critical) == (2, 4)


def test_rules_that_never_fired_are_those_that_did_not_fire_at_any_time_of_the_period() -> None:
    since_before = record(WEEK.start - timedelta(days=2), name="TrustVaultUnavailable", resolved=None)
    over_before = record(WEEK.start - timedelta(days=2), name="TrustSlaViolation")
    result = week_of(since_before, over_before, record(name="SomebodyElsesAlert"))
    assert result.coverage.never_fired == ("TrustServiceDown", "TrustSlaViolation")
    assert result.coverage.unknown == ("SomebodyElsesAlert",)


def test_without_rules_nothing_is_said_about_them() -> None:
    coverage = week_of(record(), rules=None).coverage
    assert (coverage.never_fired, coverage.unknown) == (None, ())


def test_alerts_without_runbook_or_dashboard_are_named() -> None:
    coverage = week_of(record(runbook_url=""), record(name="TrustSlaViolation", dashboard_url="")).coverage
    assert (coverage.without_runbook, coverage.without_dashboard) == (("TrustServiceDown",), ("TrustSlaViolation",))


def test_pages_are_counted_over_the_alerts_that_link_to_them() -> None:
    result = week_of(record(resolved=10), record(name="TrustSlaViolation", resolved=20), record(runbook_url=""))
    (page,) = result.runbooks
    assert (page.alertnames, page.alerts) == (("TrustServiceDown", "TrustSlaViolation"), 2)
    assert page.to_resolve.median == minutes(15)
    assert result.dashboards[0].alerts == 3


def test_notes_come_with_their_incident() -> None:
    noted = record(notes=(Note("ann", "disk full"),))
    (said,) = week_of(noted, record()).notes
    assert (said.id, said.person, said.text) == (noted.id, "ann", "disk full")


@pytest.mark.parametrize(("period", "parts"), [("week", 1), ("month", 5), ("quarter", 3)])
def test_parts_add_up_to_the_period(period: str, parts: int) -> None:
    this = review_period.period_ending(period, date(2026, 11, 30))
    random_times = random.Random(2)
    found = [record(this.start + (this.end - this.start) * random_times.random()) for _ in range(200)]
    result = review(found, period, this, RULES, LATER)
    assert len(result.parts) == parts
    assert sum(part.summary.alerts for part in result.parts) == result.this.alerts == 200
    severities = sum((Counter(part.summary.by_severity) for part in result.parts), Counter[str]())
    assert severities == Counter(result.this.by_severity) - Counter[str]()


def test_records_survive_json() -> None:
    for one in (record(acknowledged=3.5, notes=(Note("ann", "x"),)), record(resolved=None)):
        assert TypeAdapter(Record).validate_python(to_jsonable_python(one)) == one
