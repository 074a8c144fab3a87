"""`trust-otel explain`."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import click

from trust_ops.durations import Duration
from trust_ops.explain import report
from trust_ops.explain.alert import find, matchers, names_read
from trust_ops.explain.causes import Explanation
from trust_ops.explain.causes import explain as explain_alert
from trust_ops.explain.events import windows
from trust_ops.explain.history import ExplainError, History
from trust_otel.text import visible_text


class Time(click.ParamType[datetime]):
    """A time in the past."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            text = str(value)
            at = datetime.fromisoformat(f"{text[:-1]}+00:00" if text.endswith("Z") else text)
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-11-30T14:05 (UTC)", param, ctx)
        at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
        if at > datetime.now(timezone.utc):
            self.fail(f"{value} is in the future", param, ctx)
        return at


@click.command()
@click.argument("alert", required=False)
@click.argument("labels", nargs=-1)
@click.option("--prometheus", default="http://127.0.0.1:9090", show_default=True, help="URL of Prometheus.")
@click.option("--at", type=Time(), help="When the alert fired (UTC unless it has an offset); default: now.")
@click.option(
    "--within", type=Duration(), default="1d", show_default=True, help="How far before --at to look for the alert."
)
@click.option(
    "--timeout", type=click.FloatRange(0.1, 600), default=10.0, show_default=True, help="Seconds for each query."
)
@click.option(
    "--max-series",
    type=click.IntRange(1, 1_000_000),
    default=10_000,
    show_default=True,
    help="Maximum number of series of one query; a metric with more is not compared.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(
    alert: str | None,
    labels: tuple[str, ...],
    prometheus: str,
    at: datetime | None,
    within: timedelta,
    timeout: float,
    max_series: int,
    as_json: bool,
) -> None:
    """Show what changed when an alert began to fire, and the likely causes.

    ALERT is its name; without it, the newest alert that fires or fired. LABELS are label matchers such as
    service_name=api or service_name=~"api|web".
    """
    moment = at or datetime.now(timezone.utc)
    try:
        with History(prometheus, timeout=timeout, max_series=max_series) as history:
            explained = explained_at(history, alert, labels, moment.timestamp(), within.total_seconds())
    except ExplainError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(report.as_json(explained), indent=2))
    else:
        click.echo(visible_text(report.text(explained), keep="\n"))


def explained_at(history: History, alert: str | None, labels: tuple[str, ...], at: float, within: float) -> Explanation:
    """Find the newest firing until `at`, Unix time, within so many seconds, and explain it. Raises ExplainError."""
    found = find(history, alert, matchers(labels), at, within)
    return explain_alert(history, found, names_read(history.rules(), found), *windows(history, found, at))
