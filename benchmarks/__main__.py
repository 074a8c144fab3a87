"""`make bench`: CPU time per HTTP request of trust-otel and its peers, in alternating rounds."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from typing import IO, cast

from rich.console import Console
from rich.table import Table

from benchmarks.variants import VARIANTS

_ROUNDS = 60
_ROUTES = (10, 300)


def measure(routes: int) -> dict[str, float]:
    """CPU microseconds per request by variant: the minimum of all rounds, which is least affected by other load."""
    least: dict[str, float] = {}
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(
                subprocess.Popen(  # noqa: S603 - our own command
                    [sys.executable, "-m", "benchmarks.worker", name, str(routes)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for name in VARIANTS
        }
        for _ in range(_ROUNDS):
            for name, worker in workers.items():
                microseconds = _round(worker)
                least[name] = min(least.get(name, microseconds), microseconds)
        for worker in workers.values():
            cast("IO[str]", worker.stdin).close()
    return least


def _round(worker: subprocess.Popen[str]) -> float:
    questions, answers = cast("IO[str]", worker.stdin), cast("IO[str]", worker.stdout)
    questions.write("\n")
    questions.flush()
    answer = answers.readline()
    if not answer:
        raise SystemExit(f"a worker exited with status {worker.wait()}; see its error above")
    return float(answer)


def main() -> None:
    """Print a table per number of routes."""
    console = Console()
    for routes in _ROUTES:
        least = measure(routes)
        added = {name: microseconds - least["bare"] for name, microseconds in least.items()}
        table = Table(title=f"CPU time per request to the last of {routes} routes, {_ROUNDS} rounds")
        for column in ("variant", "µs per request", "µs added", "added, as a ratio to trust-otel"):
            table.add_column(column, justify="left" if column == "variant" else "right")
        for name, microseconds in least.items():
            ratio = "" if name == "bare" else f"{added[name] / added['trust-otel']:.2f}"
            table.add_row(name, f"{microseconds:.1f}", f"{added[name]:.1f}", ratio)
        console.print(table)


if __name__ == "__main__":
    main()
