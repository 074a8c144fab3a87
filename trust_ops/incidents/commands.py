"""`trust-otel incidents` and `trust-otel review`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, timedelta
from getpass import getuser
from pathlib import Path
from typing import Any

import click
from pydantic_core import to_jsonable_python
from rich.console import Console

from trust_ops import variables
from trust_ops.durations import Duration
from trust_ops.incidents import review_page, review_period
from trust_ops.incidents.client import Client, ClientError
from trust_ops.incidents.console import print_incident, print_incidents, print_review
from trust_ops.incidents.review import review as review_of
from trust_ops.incidents.rules import RulesError, own_rules, rules_of
from trust_ops.incidents.times import format_time, utc_now
from trust_ops.incidents.tokens import TokenFileError, read_tokens

DEFAULT_PORT = 9099

_FILE = click.Path(dir_okay=False, path_type=Path)

_url = variables.option(variables.INCIDENTS_URL, "--url")
_token_file = variables.option(variables.INCIDENTS_OPERATOR_TOKEN_FILE, "--token-file", type=_FILE, required=True)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_by = click.option("--by", "person", default=getuser, show_default="your login name", help="Name to record.")


class ListenAddress(click.ParamType[tuple[str, int]]):
    """An address and a port."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            self.fail(f"{value!r} is not an address and port such as 127.0.0.1:{DEFAULT_PORT}", param, ctx)
        return host.strip("[]"), int(port)


class DateType(click.ParamType[date]):
    """A date that is not in the future."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            day = date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a date such as 2026-11-30", param, ctx)
        if day > utc_now().date():
            self.fail(f"{value} is in the future", param, ctx)
        return day


@click.group()
def incidents() -> None:
    """Track and acknowledge incidents.

    `serve` receives Alertmanager's notifications; the other commands talk to it over HTTP.
    """


@incidents.command()
@variables.option(variables.INCIDENTS_DATABASE, "--database")
@variables.option(variables.INCIDENTS_LISTEN, "--listen", type=ListenAddress())
@variables.option(variables.INCIDENTS_TOKEN_FILE, "--token-file", type=_FILE, required=True)
@variables.option(variables.INCIDENTS_OPERATOR_TOKEN_FILE, "--operator-token-file", type=_FILE, required=True)
@variables.option(variables.INCIDENTS_PAGERDUTY_SECRET_FILE, "--pagerduty-secret-file", type=_FILE)
@variables.option(variables.INCIDENTS_ALERTMANAGER, "--alertmanager", "alertmanagers", multiple=True)
@click.option(
    "--keep",
    type=Duration(),
    default="400d",
    show_default=True,
    help="Retention of resolved incidents.",
)
def serve(
    database: str,
    listen: tuple[str, int],
    token_file: Path,
    operator_token_file: Path,
    pagerduty_secret_file: Path | None,
    alertmanagers: tuple[str, ...],
    keep: timedelta,
) -> None:
    """Receive Alertmanager's notifications, and PagerDuty's webhooks, until interrupted.

    In the environment variable, separate the URLs of several Alertmanagers with spaces.
    """
    # Imported here: the other commands need no web server.
    from trust_ops.incidents.serve import Options, OptionsError
    from trust_ops.incidents.serve import serve as run

    host, port = listen
    try:
        run(Options(database, host, port, token_file, operator_token_file, pagerduty_secret_file, alertmanagers, keep))
    except OptionsError as error:
        raise click.ClickException(str(error)) from error


@incidents.command(name="list")
@_url
@_token_file
@click.option("--open", "only_open", is_flag=True, help="Only open incidents, most severe first.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Maximum number of incidents."
)
@_as_json
def list_incidents(url: str, token_file: Path, only_open: bool, limit: int, as_json: bool) -> None:
    """List incidents, newest first."""
    with _client(url, token_file) as client:
        found, more = client.incidents(only_open=only_open, limit=limit)
    if as_json:
        _print_json({"incidents": found, "more": more})
    else:
        print_incidents(Console(), found, more, utc_now())


@incidents.command()
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@_url
@_token_file
@_as_json
def show(number: int, url: str, token_file: Path, as_json: bool) -> None:
    """Show an incident and its timeline."""
    with _client(url, token_file) as client:
        found, timeline = client.incident(number)
    if as_json:
        _print_json({**asdict(found), "timeline": timeline})
    else:
        print_incident(Console(), found, timeline, utc_now())


@incidents.command()
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@_url
@_token_file
@_by
@click.option("--comment", default="", help="Comment for the timeline and the silence.")
@click.option("--for", "duration", default="2h", show_default=True, help="How long to silence the alert: 30m, 2h, 1d.")
def ack(number: int, url: str, token_file: Path, person: str, comment: str, duration: str) -> None:
    """Acknowledge an incident: silence its alert and stop paging."""
    with _client(url, token_file) as client:
        until = client.acknowledge(number, person, comment, duration)
    if until is None:
        click.echo(
            f"Incident {number} acknowledged. The receiver has no Alertmanager configured: notifications continue."
        )
    else:
        click.echo(f"Incident {number} acknowledged, silenced until {format_time(until.replace(microsecond=0))}.")


@incidents.command()
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@click.argument("text")
@_url
@_token_file
@_by
def note(number: int, text: str, url: str, token_file: Path, person: str) -> None:
    """Add a note to the timeline of an incident."""
    with _client(url, token_file) as client:
        client.note(number, person, text)
    click.echo(f"Note added to incident {number}.")


@click.command()
@click.option("--period", type=click.Choice(review_period.PERIODS), required=True, help="Period to review.")
@click.option("--until", type=DateType(), help="Last day of the period (UTC); default: today.")
@_url
@_token_file
@click.option("--prometheus", help="URL of a Prometheus whose alert rules to use instead of those of trust-otel.")
@click.option("--json", "form", flag_value="json", help="Print all statistics as JSON.")
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown.")
def review(
    period: str, until: date | None, url: str, token_file: Path, prometheus: str | None, form: str | None
) -> None:
    """Show statistics for the weekly, monthly or quarterly alert review."""
    now = utc_now()
    this = review_period.period_ending(period, until or now.date())
    with _client(url, token_file) as client:
        records = client.records(review_period.before(period, this).start, this.end)
    result = review_of(records, period, this, _rules(prometheus), now)
    if form == "json":
        _print_json(result)
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


def _print_json(value: object) -> None:
    # In ASCII: control and bidirectional characters are escaped.
    click.echo(json.dumps(to_jsonable_python(value, timedelta_mode="float"), indent=2))


@contextmanager
def _client(url: str, token_file: Path) -> Iterator[Client]:
    try:
        with Client(url, read_tokens(token_file)[0]) as client:
            yield client
    except (ClientError, TokenFileError) as error:
        raise click.ClickException(str(error)) from error
