"""`trust-otel grafana`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click

from trust_ops import variables
from trust_ops.durations import Duration
from trust_ops.grafana.access import apply_access
from trust_ops.grafana.access_file import read_access
from trust_ops.grafana.client import Grafana
from trust_ops.grafana.connection import connect
from trust_ops.grafana.errors import GrafanaError
from trust_ops.grafana.review import Review
from trust_ops.grafana.review import review as review_of
from trust_ops.grafana.tokens import LONGEST, SHORTEST, write_token
from trust_ops.stack.files import access_file
from trust_otel.text import visible_text

_FILE = click.Path(dir_okay=False, path_type=Path)


def _connection(function: Callable[..., None]) -> Callable[..., None]:
    options = (
        variables.option(variables.GRAFANA_URL, "--url", required=True),
        variables.option(variables.GRAFANA_TOKEN_FILE, "--token-file", type=_FILE),
        variables.option(variables.GRAFANA_ADMIN_USER, "--user"),
        variables.option(variables.GRAFANA_ADMIN_PASSWORD_FILE, "--password-file", type=_FILE),
        variables.option(variables.GRAFANA_CA_FILE, "--ca-file", type=_FILE),
    )
    for option in reversed(options):
        function = option(function)
    return function


class Lifetime(Duration):
    """The lifetime of a token."""

    def convert(self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        lifetime = super().convert(value, param, ctx)
        if not SHORTEST <= lifetime <= LONGEST:
            self.fail(f"{value!r} is not between 1m and {LONGEST.days}d; tokens must expire", param, ctx)
        return lifetime


@click.group()
def grafana() -> None:
    """Manage access to Grafana and create tokens."""


@grafana.command()
@_connection
@click.option(
    "--file",
    "path",
    type=_FILE,
    default=access_file,
    show_default="monitoring/provisioning/access.yml of trust-otel",
    help="Access file.",
)
@click.option("--dry-run", is_flag=True, help="Show the changes without making them.")
@click.option(
    "--review", is_flag=True, help="Show the current access without changing it; exits with 1 on any finding."
)
@click.option("--json", "as_json", is_flag=True, help="Print the review as JSON.")
def access(path: Path, dry_run: bool, review: bool, as_json: bool, **connection: Any) -> None:
    """Apply teams, service accounts and permissions from an access file.

    Idempotent. In the folders and dashboards of the file, permissions that the file does not list are removed. Other
    folders, teams and service accounts are not changed, nor are the members of teams.
    """
    if (review and dry_run) or (as_json and not review):
        raise click.UsageError("--review and --dry-run are mutually exclusive, and --json needs --review")
    with _grafana(**connection) as server:
        wanted = read_access(path)
        if review:
            found = review_of(server, wanted)
            click.echo(json.dumps(asdict(found), indent=2) if as_json else visible_text(_text(found), keep="\n"))
            raise SystemExit(bool(found.findings))
        changes = 0
        for change in apply_access(server, wanted, dry_run=dry_run):
            changes += 1
            click.echo(visible_text(f"would change: {change}" if dry_run else change))
        if not changes:
            click.echo("no changes")


@grafana.command()
@_connection
@click.argument("account")
@click.option(
    "--expires",
    "lifetime",
    type=Lifetime(),
    required=True,
    help=f"Lifetime, such as 30d; at most {LONGEST.days}d.",
)
@click.option("--output", type=_FILE, required=True, help="Output file with mode 0600; replaced if it exists.")
def token(account: str, lifetime: timedelta, output: Path, **connection: Any) -> None:
    """Create a token for the service account ACCOUNT. It is written to a file and never shown."""
    with _grafana(**connection) as server:
        now = datetime.now(timezone.utc)
        others = write_token(server, account, lifetime, output, now)
    click.echo(f"{output}: token of {account}, valid until {now + lifetime:%Y-%m-%d %H:%M} UTC")
    if others:
        click.echo(f"other valid tokens, delete unused ones in Grafana: {visible_text(', '.join(others))}")


@contextmanager
def _grafana(**connection: Any) -> Iterator[Grafana]:
    try:
        with connect(**connection) as client:
            yield Grafana(client)
    except GrafanaError as error:
        raise click.ClickException(str(error)) from error


def _text(found: Review) -> str:
    sections = {
        "Administrators (full access)": found.administrators,
        "Users": [f"{login}: {role}" for login, role in found.people.items()],
        "Teams": [f"{name}: {', '.join(members) or 'nobody'}" for name, members in found.teams.items()],
        **{
            f"{title[0].upper()}{title[1:]}": [f"{who}: {level}" for who, level in permissions.items()]
            for title, permissions in found.places.items()
            if permissions or title.startswith("folder")
        },
        "Service accounts": [f"{name}: {what}" for name, what in found.service_accounts.items()],
        "Findings": found.findings or ["none: matches the file"],
    }
    return "\n".join(
        line for title, lines in sections.items() for line in (title, *(f"  {each}" for each in lines or ["nobody"]))
    )
