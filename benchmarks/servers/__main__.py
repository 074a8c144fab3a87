"""`python -m benchmarks.servers [PAIRS]`: shutdown time of servers, with and without trust-otel.

Both run alternately, one at a time; the results are medians. With trust-otel the time includes the last export.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.servers.cells import Cell
from benchmarks.servers.running import Run, run

_PAIRS = 5
_CELLS = tuple(
    Cell(server, "fastapi")
    for server in (
        "uvicorn",
        "uvicorn 2 workers",
        "gunicorn uvicorn-worker",
        "gunicorn asgi",
        "hypercorn",
        "hypercorn 2 workers",
        "granian",
        "granian 2 workers",
        "daphne",
    )
)


def _run(cell: Cell, *, instrumented: bool) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        return run(cell, Path(folder), instrumented=instrumented)


def measure(cell: Cell, pairs: int) -> tuple[float, float]:
    """Median seconds of the shutdown, without and with trust-otel."""
    found = [
        [_run(cell, instrumented=instrumented).seconds_to_end for instrumented in (False, True)] for _ in range(pairs)
    ]
    plain, instrumented = zip(*found, strict=True)
    return median(plain), median(instrumented)


def main() -> None:
    """Print one row per server."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else _PAIRS
    table = Table(title=f"Seconds from SIGTERM to exit, medians of {pairs} pairs")
    for column in ("server", "without", "with", "ratio", "difference"):
        table.add_column(column, justify="left" if column == "server" else "right")
    for cell in _CELLS:
        plain, instrumented = measure(cell, pairs)
        table.add_row(
            cell.server,
            f"{plain:.2f}",
            f"{instrumented:.2f}",
            f"{instrumented / plain:.2f}",
            f"{instrumented - plain:+.2f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
