"""Parsing of durations."""

from __future__ import annotations

from datetime import timedelta

import click
import pytest
from click.testing import CliRunner

from trust_ops.durations import Duration, parse_duration


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("250ms", 250),
        ("30s", 30_000),
        ("90s", 90_000),
        ("30m", 1_800_000),
        ("1m500ms", 60_500),
        (" 2h ", 7_200_000),
        ("1h55m", 6_900_000),
        ("1d", 86_400_000),
        ("2w", 1_209_600_000),
        ("400d", 34_560_000_000),
        ("1y", 31_536_000_000),
        ("292y", 9_208_512_000_000),
    ],
)
def test_durations_are_parsed_as_prometheus_parses_them(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    "text",
    ["", " ", "2", "h", "-2h", "-1s", "1.5h", "5 m", "1m1m", "30m1h", "1ms1s", "2H", "\u0662h", "9" * 5000 + "s"],
)
def test_invalid_durations_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 30m, 2h or 1d"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["293y", "9999999d", "292y1y", "9223372036855ms"])
def test_longer_durations_than_those_of_prometheus_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration|is longer than 292y"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ([], "0:01:30\n"),
        (["--for", "1h"], "1:00:00\n"),
        (["--for", "60"], "Error: Invalid value for '--for': '60' is not a duration such as 30m, 2h or 1d\n"),
    ],
)
def test_an_option_takes_a_duration(arguments: list[str], shown: str) -> None:
    @click.command()
    @click.option("--for", "duration", type=Duration(), default="90s")
    def command(duration: timedelta) -> None:
        click.echo(duration)

    assert CliRunner().invoke(command, arguments).output.endswith(shown)
