"""`python -m testbed.pipeline`: measures what faults of the Collectors, the network and Prometheus lose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from testbed import own_mounts
from testbed.pipeline.hops import pipeline
from testbed.pipeline.losses import FAULTS, Result, measured

_IN_NAMESPACE: Final = "TRUST_OTEL_TESTBED_OWN_MOUNTS"
_SMALL_DISK: Final = "queue_disk_full"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--for", "seconds", type=click.FloatRange(2, 3600), default=60.0, show_default=True, help="Of each fault."
)
@click.option(
    "--rate", type=click.FloatRange(100, 200_000), default=20_000.0, show_default=True, help="Data points per second."
)
@click.option("--fault", "faults", type=click.Choice(list(FAULTS)), multiple=True, help="Only this one; repeatable.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write the results as JSON.")
def main(seconds: float, rate: float, faults: tuple[str, ...], report: Path | None) -> None:
    """Harm agent, gateways, network and Prometheus under load, and count what is lost.

    Ends with 1 if a data point was lost or doubled.
    """
    if _IN_NAMESPACE not in os.environ and own_mounts.permitted():
        # The queues' file systems are mounted where nobody else sees them.
        command = [*own_mounts.UNSHARE, sys.executable, "-m", "testbed.pipeline", *sys.argv[1:]]
        os.execvpe(command[0], command, {**os.environ, _IN_NAMESPACE: "1"})  # noqa: S606 - itself
    console = Console(stderr=True)
    results = []
    for name in faults or FAULTS:
        if FAULTS[name].__name__ == _SMALL_DISK and _IN_NAMESPACE not in os.environ:
            console.print(f"[yellow]{name}: not measured, since file systems cannot be mounted here[/]")
            continue
        with console.status(f"{name}, {seconds:g} s at {rate:,.0f} data points per second"):
            results.append(_result(name, seconds, rate))
        console.print(f"{name}: {results[-1].lost} lost, {results[-1].doubled} doubled")
    Console().print(_table(results))
    if report is not None:
        report.write_text(json.dumps([asdict(each) for each in results], indent=2) + "\n")
    sys.exit(any(each.lost or each.doubled for each in results))


def _result(name: str, seconds: float, rate: float) -> Result:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trust-otel-pipeline-")))
        if FAULTS[name].__name__ == _SMALL_DISK:
            for number in range(2):
                stack.enter_context(_mounted(directory / f"gateway-{number}" / "queue"))
        running = stack.enter_context(pipeline(directory))
        return measured(running, name, seconds=seconds, rate=rate, series=min(1000, round(rate / 10)))


@contextmanager
def _mounted(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(folder)], check=True)  # noqa: S603, S607
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S603, S607


def _table(results: list[Result]) -> Table:
    table = Table(title="Data points during faults")
    for column in ("fault", "sent", "arrived", "lost", "doubled", "refused and sent again", "stored after"):
        table.add_column(column, justify="left" if column == "fault" else "right")
    for each in results:
        numbers = (each.sent, each.arrived, each.lost, each.doubled, each.refused)
        table.add_row(each.fault, *(f"{number:,}" for number in numbers), f"{each.recovery:.1f} s")
    return table


if __name__ == "__main__":
    main()
