"""Durations in the format of Prometheus, such as 30s, 5m or 1h30m."""

from __future__ import annotations

import re
from datetime import timedelta

import click

_UNITS_MS = {
    "y": 31_536_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
# As in Prometheus, units go from large to small, each at most once.
_DURATION = re.compile("".join(f"(?:([0-9]{{1,13}}){unit})?" for unit in _UNITS_MS))
# Prometheus counts nanoseconds in 63 bits.
_MAX_MS = 2**63 // 1_000_000


def parse_duration(text: str) -> timedelta:
    """Parse a duration such as 250ms, 30m, 1h30m or 1d; a year has 365 days. Raises ValueError."""
    stripped = text.strip()
    if stripped == "0":
        return timedelta()
    match = _DURATION.fullmatch(stripped)
    if not stripped or match is None:
        raise ValueError(f"{text[:60]!r} is not a duration such as 30m, 2h or 1d")
    milliseconds = sum(int(number or 0) * unit for number, unit in zip(match.groups(), _UNITS_MS.values(), strict=True))
    if milliseconds > _MAX_MS:
        raise ValueError(f"{text[:60]!r} is longer than 292y, the longest duration")
    return timedelta(milliseconds=milliseconds)


class Duration(click.ParamType[timedelta]):
    """A duration on the command line."""

    name = "duration"

    def convert(self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
