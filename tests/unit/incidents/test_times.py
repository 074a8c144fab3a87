"""Parsing of times, and formatting of times and durations."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.incidents.notifications import NIGHT
from trust_ops.incidents.times import format_duration, format_time, parse_time


def test_times_survive_formatting_and_parsing() -> None:
    moment = NIGHT + timedelta(microseconds=1500)
    assert format_time(moment) == "2026-11-25T03:00:00.001500Z"
    assert parse_time(format_time(moment)) == moment


@pytest.mark.parametrize(
    "text", ["", "2026-11-25", "2026-11-25 03:00:00Z", "2026-11-25T03:00:00", "0001-01-01T00:00:00+23:59"]
)
def test_invalid_times_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a (valid )?time"):
        parse_time(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (4320, "1 h 12 min"),
        (86400, "1 d"),
        (100_000, "1 d 3 h"),
    ],
)
def test_durations_are_formatted_for_people(seconds: int, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text
