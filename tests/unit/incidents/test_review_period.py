"""Weeks, months and quarters."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest

from trust_ops.incidents import review_period
from trust_ops.incidents.review_period import Period


def days(span: Period) -> tuple[str, str]:
    return f"{span.start:%Y-%m-%d}", f"{span.end:%Y-%m-%d}"


@pytest.mark.parametrize(
    ("period", "last", "start", "end", "before"),
    [
        ("week", date(2026, 11, 29), "2026-11-23", "2026-11-30", "2026-11-16"),
        ("month", date(2026, 11, 30), "2026-11-01", "2026-12-01", "2026-10-01"),
        ("month", date(2026, 11, 25), "2026-10-26", "2026-11-26", "2026-09-26"),
        ("month", date(2026, 12, 30), "2026-11-30", "2026-12-31", "2026-10-30"),
        ("month", date(2027, 3, 30), "2027-02-28", "2027-03-31", "2027-01-28"),
        ("quarter", date(2026, 12, 31), "2026-10-01", "2027-01-01", "2026-07-01"),
        ("quarter", date(2026, 2, 15), "2025-11-16", "2026-02-16", "2025-08-16"),
    ],
)
def test_a_period_ends_with_its_last_day_and_follows_the_one_before(
    period: str, last: date, start: str, end: str, before: str
) -> None:
    this = review_period.period_ending(period, last)
    assert days(this) == (start, end)
    assert days(review_period.before(period, this)) == (before, start)


def test_a_period_includes_its_start_and_excludes_its_end() -> None:
    this = review_period.period_ending("week", date(2026, 11, 29))
    assert (this.contains(this.start), this.contains(this.end)) == (True, False)
    assert this.contains(this.end - timedelta(microseconds=1))


def test_the_weeks_of_a_month_are_counted_from_its_end() -> None:
    weeks = list(review_period.weeks(review_period.period_ending("month", date(2026, 11, 30))))
    assert [days(week) for week in weeks] == [
        ("2026-11-01", "2026-11-03"),
        ("2026-11-03", "2026-11-10"),
        ("2026-11-10", "2026-11-17"),
        ("2026-11-17", "2026-11-24"),
        ("2026-11-24", "2026-12-01"),
    ]


def test_a_week_has_one_week() -> None:
    this = review_period.period_ending("week", date(2026, 11, 29))
    assert list(review_period.weeks(this)) == [this]
    assert this.weeks == 1


@pytest.mark.parametrize("last", [date(2026, 12, 31), date(2027, 5, 30), date(2028, 2, 29)])
def test_the_months_of_a_quarter_cover_it(last: date) -> None:
    quarter = review_period.period_ending("quarter", last)
    months = list(review_period.months(quarter))
    assert len(months) == 3
    assert (months[0].start, months[-1].end) == (quarter.start, quarter.end)
    assert all(one.end == other.start for one, other in pairwise(months))
