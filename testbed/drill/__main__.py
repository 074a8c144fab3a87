"""`make drill`: lets everything go wrong that an alert is about, and shows who was told of it."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import click
from rich.console import Console

from examples.demo.program import ServiceError
from testbed.drill.environment import scene
from testbed.drill.runner import perform
from testbed.drill.schedule import ROUNDS
from testbed.drill.table import as_json, draw, summary, table
from testbed.drill.trial import Trial
from testbed.load_generator.command import Duration
from trust_ops.private_files import private_folder
from trust_ops.stack import StackError
from trust_ops.stack.commands import signals_as_interrupt

_FOLDER = Path(".trust-otel/drill")
# Where there is no terminal whose width counts.
_WIDTH = 160


@click.command()
@click.option(
    "--factor", type=click.FloatRange(1, 60), default=30, show_default=True, help="How many times as fast time runs."
)
@click.option("--quiet", type=Duration(), default="90s", show_default=True, help="How long nothing goes wrong first.")
@click.option("--faults/--no-faults", default=True, help="Whether anything goes wrong after the quiet.")
@click.option("--only", multiple=True, help="Hold only the trials of this alert; may be given several times.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write what was seen, as JSON.")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Write the table as a picture (SVG).")
def drill(
    factor: float, quiet: float, faults: bool, only: tuple[str, ...], report: Path | None, picture: Path | None
) -> None:
    """Prove every alert: its fault makes it fire, the right people are told, and it resolves.

    Real services, databases, Collector, Prometheus and Alertmanager run on this machine; Slack, PagerDuty, mail server
    and webhooks are stood in for by servers that check what they get. Every duration of rules and routes is divided by
    one factor. What is not of the drill is left alone, but for memory: one fault takes 88 % of it for some seconds.
    """
    rounds = _chosen(only) if faults else []
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    began = time.monotonic()

    def progress(line: str) -> None:
        console.print(f"{time.monotonic() - began:5.0f} s  {line}", highlight=False, markup=False, soft_wrap=True)

    shutil.rmtree(_FOLDER, ignore_errors=True)
    private_folder(_FOLDER)
    try:
        with signals_as_interrupt(), scene(_FOLDER, factor, progress) as running:
            seen = perform(running, rounds, quiet, progress)
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
        raise click.BadParameter(f"no trial of {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    chosen = [
        [trial for trial in trials if not only or {each.alert for each in trial.alerts} & set(only)]
        for trials in ROUNDS
    ]
    return [trials for trials in chosen if trials]


if __name__ == "__main__":
    drill()
