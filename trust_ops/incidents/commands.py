"""`trust-otel incidents` and `trust-otel review`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime, timedelta
from getpass import getuser
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from trust_ops import variables
from trust_ops.incidents import incident, review_page, review_period
from trust_ops.incidents.client import Client, ClientError
from trust_ops.incidents.console import print_incident, print_incidents, print_review
from trust_ops.incidents.review import review as review_of
from trust_ops.incidents.rules import RulesError, own_rules, rules_of
from trust_ops.incidents.times import format_time, parse_duration, utc_now
from trust_ops.incidents.tokens import TokenFileError, read_tokens

DEFAULT_PORT = 9099

_FILE = click.Path(dir_okay=False, path_type=Path)

_url = variables.option(variables.INCIDENTS_URL, "--url")
_token_file = variables.option(variables.INCIDENTS_OPERATOR_TOKEN_FILE, "--token-file", type=_FILE, required=True)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_by = click.option("--by", "person", default=getuser, show_default="your login name", help="Who says so.")


class DurationText(click.ParamType[timedelta]):
    """A duration such as 30m, 2h or 400d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Listen(click.ParamType[tuple[str, int]]):
    """An address and a port."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            self.fail(f"{value!r} is no address and port such as 127.0.0.1:{DEFAULT_PORT}", param, ctx)
        return host.strip("[]"), int(port)


class Day(click.ParamType[date]):
    """A day that has begun."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            day = date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date such as 2026-11-30", param, ctx)
        if day > utc_now().date():
            self.fail(f"{value} lies in the future", param, ctx)
        return day


@click.group()
def incidents() -> None:
    """Keep incidents, and take them.

    `serve` receives Alertmanager's notifications; the other commands ask it over HTTP.
    """


@incidents.command()
@variables.option(variables.INCIDENTS_DATABASE, "--database")
@variables.option(variables.INCIDENTS_LISTEN, "--listen", type=Listen())
@variables.option(variables.INCIDENTS_TOKEN_FILE, "--token-file", type=_FILE, required=True)
@variables.option(variables.INCIDENTS_OPERATOR_TOKEN_FILE, "--operator-token-file", type=_FILE, required=True)
@variables.option(variables.INCIDENTS_ALERTMANAGER, "--alertmanager", "alertmanagers", multiple=True)
@click.option(
    "--keep",
    type=DurationText(),
    default="400d",
    show_default=True,
    help="How long a resolved incident is kept.",
)
def serve(
    database: str,
    listen: tuple[str, int],
    token_file: Path,
    operator_token_file: Path,
    alertmanagers: tuple[str, ...],
    keep: timedelta,
) -> None:
    """Receive Alertmanager's notifications, until Ctrl-C.

    Several Alertmanagers stand in the variable with blanks between them.
    """
    # Imported here: the other commands need no web server.
    from trust_ops.incidents.serve import Options, OptionsError
    from trust_ops.incidents.serve import serve as run

    host, port = listen
    try:
        run(Options(database, host, port, token_file, operator_token_file, alertmanagers, keep))
    except OptionsError as error:
        raise click.ClickException(str(error)) from error


@incidents.command(name="list")
@_url
@_token_file
@click.option("--open", "only_open", is_flag=True, help="Only what still fires, the worst first.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Most incidents.")
@_as_json
def list_incidents(url: str, token_file: Path, only_open: bool, limit: int, as_json: bool) -> None:
    """List incidents, the newest first."""
    with _asking(url, token_file) as client:
        found, more = client.incidents(only_open=only_open, limit=limit)
    if as_json:
        click.echo(json.dumps({"incidents": [incident.to_json(one) for one in found], "more": more}, indent=2))
    else:
        print_incidents(Console(), found, more, utc_now())


@incidents.command()
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@_url
@_token_file
@_as_json
def show(number: int, url: str, token_file: Path, as_json: bool) -> None:
    """Show an incident, and what has happened to it."""
    with _asking(url, token_file) as client:
        found, timeline = client.incident(number)
    if as_json:
        events = [incident.to_json(event) for event in timeline]
        click.echo(json.dumps({**incident.to_json(found), "timeline": events}, indent=2))
    else:
        print_incident(Console(), found, timeline, utc_now())


@incidents.command()
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@_url
@_token_file
@_by
@click.option("--comment", default="", help="What you know, or will do.")
@click.option("--for", "duration", default="2h", show_default=True, help="How long to be quiet: 30m, 2h, 1d.")
def ack(number: int, url: str, token_file: Path, person: str, comment: str, duration: str) -> None:
    """Take an incident: its alert is silenced, and nobody else is called."""
    with _asking(url, token_file) as client:
        until = client.acknowledge(number, person, comment, duration)
    if until is None:
        click.echo(f"Incident {number} is yours. No Alertmanager is set at the receiver: notifications go on.")
    else:
        click.echo(f"Incident {number} is yours, and silent until {format_time(until.replace(microsecond=0))}.")


@incidents.command()
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@click.argument("text")
@_url
@_token_file
@_by
def note(number: int, text: str, url: str, token_file: Path, person: str) -> None:
    """Add a note to the timeline of an incident."""
    with _asking(url, token_file) as client:
        client.note(number, person, text)
    click.echo(f"Noted at incident {number}.")


@click.command()
@click.option("--period", type=click.Choice(review_period.PERIODS), required=True, help="Which review.")
@click.option("--until", type=Day(), help="Its last day (UTC); today when not given.")
@_url
@_token_file
@click.option("--prometheus", help="Address of a Prometheus, whose rules count instead of trust-otel's own.")
@click.option("--json", "form", flag_value="json", help="Print all numbers, as JSON.")
@click.option("--markdown", "form", flag_value="markdown", help="Print the page as Markdown.")
def review(
    period: str, until: date | None, url: str, token_file: Path, prometheus: str | None, form: str | None
) -> None:
    """Show the numbers for the weekly, monthly or quarterly review of alerts."""
    now = utc_now()
    span = review_period.span(period, until or now.date())
    with _asking(url, token_file) as client:
        records = client.records(review_period.before(period, span).start, span.end)
    result = review_of(records, period, span, _rules(prometheus), now)
    if form == "json":
        click.echo(json.dumps(asdict(result), indent=2, default=_plain))
    elif form == "markdown":
        click.echo(review_page.markdown(result), nl=False)
    else:
        print_review(Console(), result)


def _rules(prometheus: str | None) -> frozenset[str] | None:
    try:
        return own_rules() if prometheus is None else rules_of(prometheus)
    except FileNotFoundError:
        return None
    except RulesError as error:
        raise click.ClickException(str(error)) from error


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(f"{value!r} has no form in JSON")


@contextmanager
def _asking(url: str, token_file: Path) -> Iterator[Client]:
    try:
        with Client(url, read_tokens(token_file)[0]) as client:
            yield client
    except (ClientError, TokenFileError) as error:
        raise click.ClickException(str(error)) from error
