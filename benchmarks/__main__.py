"""`make bench`: the cost of trust-otel compared with its peers.

    python -m benchmarks [--quick] [WORKLOADS ...]

Without arguments it measures everything and writes `benchmarks/RESULTS.md` and `benchmarks/ratios.json`.
"""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks.report import RESULTS, Result, table, write
from benchmarks.rows import ROUNDS, ROWS
from benchmarks.runner import measure

_QUICK_ROUNDS = {"http": 25, "grpc": 25, "sqlalchemy": 25, "recording": 25, "signing": 25, "scrape": 2, "startup": 1}


def main() -> None:
    """Measure, print a table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOADS", help=f"any of {', '.join(ROUNDS)}")
    parser.add_argument("--quick", action="store_true", help="few rounds, for a first look; writes no file")
    options = parser.parse_args()
    wanted = options.workloads or list(ROUNDS)
    if unknown := set(wanted) - ROUNDS.keys():
        parser.error(f"unknown workloads: {', '.join(sorted(unknown))}")

    rows = [row for row in ROWS if row.workloads in wanted]
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TextColumn("rounds"), TimeElapsedColumn())
    console = Console()
    if not console.is_terminal:
        console.width = 150
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def show(group: str, number: int, rounds: int) -> None:
            if group not in tasks:
                tasks[group] = progress.add_task(group, total=rounds)
            progress.update(tasks[group], completed=number)

        measured = measure(rows, _QUICK_ROUNDS if options.quick else ROUNDS, show)
    results = [Result.of(row, costs) for row, costs in measured.items()]
    console.print(table(results))
    for name, reason in {item for result in results for item in result.not_available.items()}:
        console.print(f"{name}: not available: {reason}")
    if not options.quick and not options.workloads:
        write(results)
        console.print(f"Written: {RESULTS}")


if __name__ == "__main__":
    main()
