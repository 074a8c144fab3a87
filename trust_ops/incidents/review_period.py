"""The periods of reviews."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from itertools import pairwise

WEEK, MONTH, QUARTER = "week", "month", "quarter"
PERIODS = (WEEK, MONTH, QUARTER)

_MONTHS = {MONTH: 1, QUARTER: 3}


@dataclass(frozen=True)
class Period:
    """A period from `start` to `end` (exclusive), both midnight UTC."""

    start: datetime
    end: datetime

    @property
    def weeks(self) -> float:
        """Its length in weeks."""
        return (self.end - self.start) / timedelta(weeks=1)

    def contains(self, moment: datetime) -> bool:
        """Whether the time is in the period."""
        return self.start <= moment < self.end


def period_ending(period: str, last_day: date) -> Period:
    """The week, month or quarter that ends with a day."""
    end = datetime.combine(last_day, time(), timezone.utc) + timedelta(days=1)
    return Period(_back(end, period), end)


def before(period: str, this: Period) -> Period:
    """The period before it."""
    return Period(_back(this.start, period), this.start)


def weeks(this: Period) -> Iterator[Period]:
    """Its weeks, counted from the end: the first may be shorter."""
    ends = [this.end]
    while ends[-1] - timedelta(weeks=1) > this.start:
        ends.append(ends[-1] - timedelta(weeks=1))
    for end in reversed(ends):
        yield Period(max(this.start, end - timedelta(weeks=1)), end)


def months(this: Period) -> Iterator[Period]:
    """Its months, counted from the end."""
    found = [this.end]
    while found[-1] > this.start:
        found.append(_back(found[-1], MONTH))
    for end, start in reversed(list(pairwise(found))):
        yield Period(max(start, this.start), end)


def _back(end: datetime, period: str) -> datetime:
    if period == WEEK:
        return end - timedelta(weeks=1)
    year, month = divmod(end.year * 12 + end.month - 1 - _MONTHS[period], 12)
    day = min(end.day, monthrange(year, month + 1)[1])
    return end.replace(year=year, month=month + 1, day=day)
