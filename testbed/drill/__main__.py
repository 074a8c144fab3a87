"""`make drill`: injects the fault of every alert, and checks that the right receivers are notified."""

from __future__ import annotations

import json
import shutil
import sys
import time
from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console

from examples.demo.program import ServiceError
from testbed.drill.environment import environment
from testbed.drill.runner import run
from testbed.drill.schedule import ROUNDS
from testbed.drill.table import as_json, draw, summary, table
from testbed.drill.trial import Trial
from trust_ops.durations import Duration
from trust_ops.private_files import private_folder
from trust_ops.stack import StackError
from trust_ops.stack.commands import signals_as_interrupt

_FOLDER = Path(".trust-otel/drill")
# Width of the table without a terminal.
_WIDTH = 160


@click.command()
@click.option(
    "--factor",
    type=click.FloatRange(1, 60),
    default=30,
    show_default=True,
    help="Factor by which durations of rules and routes are shortened.",
)
@click.option(
    "--quiet",
    type=Duration(),
    default="90s",
    show_default=True,
    help="Time without faults at the start, in which no alert may fire.",
)
@click.option("--faults/--no-faults", default=True, help="Inject faults after the quiet time.")
@click.option("--only", multiple=True, help="Run only the trials of this alert; repeatable.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write a JSON report.")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Write the table as SVG.")
def drill(
    factor: float, quiet: timedelta, faults: bool, only: tuple[str, ...], report: Path | None, picture: Path | None
) -> None:
    """Check every alert: its fault makes it fire, the right receivers are notified, and it resolves.

    Real services, databases, Collector, Prometheus and Alertmanager run on this machine. Slack, PagerDuty, mail server
    and webhooks are replaced by servers that validate what they receive. All durations of rules and routes are divided
    by one factor. One fault uses 88 % of the machine's memory for some seconds.
    """
    rounds = _chosen(only) if faults else []
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    began = time.monotonic()

    def progress(line: str) -> None:
        console.print(f"{time.monotonic() - began:5.0f} s  {line}", highlight=False, markup=False, soft_wrap=True)

    shutil.rmtree(_FOLDER, ignore_errors=True)
    private_folder(_FOLDER)
    try:
        with signals_as_interrupt(), environment(_FOLDER, factor, progress) as running:
            seen = run(running, rounds, quiet.total_seconds(), progress)
    except (StackError, ServiceError) as error:
        raise click.ClickException(str(error)) from error
    console.print(table(seen))
    console.print(summary(seen), highlight=False)
    if report:
        report.write_text(json.dumps(as_json(seen), indent=2) + "\n")
    if picture:
        draw(seen, picture)
    sys.exit(not seen.good)


def _chosen(only: tuple[str, ...]) -> list[list[Trial]]:
    known = {expected.alert for trials in ROUNDS for trial in trials for expected in trial.alerts}
    if unknown := set(only) - known:
        raise click.BadParameter(f"no trial of {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
    chosen = [
        [trial for trial in trials if not only or {each.alert for each in trial.alerts} & set(only)]
        for trials in ROUNDS
    ]
    return [trials for trials in chosen if trials]


if __name__ == "__main__":
    drill()
