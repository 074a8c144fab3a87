"""Formats times and durations, and parses times. All times are UTC."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)")


def utc_now() -> datetime:
    """The current time."""
    return datetime.now(timezone.utc)


def parse_time(text: str) -> datetime:
    """Parse an RFC 3339 time, to the microsecond. Raises ValueError."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:60]!r} is not a time such as 2026-11-25T03:14:00Z")
    date, clock, fraction, zone = match.groups()
    # Python 3.10 parses neither `Z` nor nine digits.
    micros = (fraction or "0").ljust(6, "0")[:6]
    offset = "+00:00" if zone in "Zz" else zone
    try:
        return datetime.fromisoformat(f"{date}T{clock}.{micros}{offset}").astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text[:60]!r} is not a valid time") from error


def format_time(moment: datetime) -> str:
    """Format as RFC 3339, with microseconds if there are any."""
    return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def format_duration(duration: timedelta) -> str:
    """Format with the two largest units, such as `1 h 12 min`."""
    seconds = max(0, round(duration.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return _pair(days, "d", hours % 24, "h")
    if hours:
        return _pair(hours, "h", minutes % 60, "min")
    return f"{minutes} min" if minutes else f"{seconds} s"


def _pair(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit} {small} {small_unit}" if small else f"{large} {large_unit}"
