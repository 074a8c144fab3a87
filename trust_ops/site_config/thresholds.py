"""The numbers that alerts compare with."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from trust_otel.setting_lists import BadValueError

Unit = Literal["number", "count", "ratio", "seconds", "days"]
"""`count` is a number of events in a counter: `increase()` extrapolates, so "more than 10" is "at least 11"."""

_SECONDS_PER_DAY = 86400
_DIGITS = 10


@dataclass(frozen=True)
class Threshold:
    """A number that an expression compares with.

    Attributes:
        given: The number as people write it, in `unit`.
        unit: Its unit.
        below: The value that an override must stay below, in `unit`: the alert could not fire, or always would.
    """

    given: float
    unit: Unit = "number"
    below: float | None = None

    @property
    def value(self) -> float:
        """The number in the unit of the series."""
        if self.unit == "count":
            return self.given + 1
        return self.given * _SECONDS_PER_DAY if self.unit == "days" else self.given

    @property
    def promql(self) -> str:
        """The number as it is written in the expression."""
        return f"{plain(self.given)} * {_SECONDS_PER_DAY}" if self.unit == "days" else plain(self.value)

    @property
    def text(self) -> str:
        """The number as it is written in summaries and descriptions."""
        if self.unit == "ratio":
            return f"{plain(self.given * 100)} %"
        return plain(self.given) + {"seconds": " s", "days": " days"}.get(self.unit, "")

    def overridden(self, given: float) -> Threshold:
        """The same with another number. Raises BadValueError when the alert could not work with it."""
        if not math.isfinite(given) or given < 0 or (given == 0 and self.unit != "count"):
            raise BadValueError("use a number above 0")
        if not _can_be_written(given):
            raise BadValueError(f"use a number with at most {_DIGITS} decimal places and {_DIGITS} digits before them")
        if self.unit == "count" and given != int(given):
            raise BadValueError("use a whole number: the alert fires above it")
        if self.below is not None and given >= self.below:
            raise BadValueError(f"use a number below {plain(self.below)}{self._hint()}")
        return replace(self, given=float(given))

    def _hint(self) -> str:
        if self.unit == "ratio":
            return f", such as {plain(self.given)} for {self.text}"
        return ", the last bucket of the histogram, in seconds" if self.unit == "seconds" else ""


def _can_be_written(number: float) -> bool:
    return number < 10**_DIGITS and math.isclose(round(number, _DIGITS), number, rel_tol=1e-9)


def plain(number: float) -> str:
    """The number without an exponent and without digits that come from binary fractions."""
    return f"{round(number, _DIGITS):.15g}"
