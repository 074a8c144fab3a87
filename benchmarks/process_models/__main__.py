"""`python -m benchmarks.process_models [PART OF A NAME]`: the events that each process model lost or doubled.

Without a part of a name, it runs all of them, and writes the table to `benchmarks/PROCESS_MODELS.md`.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.process_models.models import MODELS, Model
from benchmarks.process_models.running import ModelFailed, run

_AT_A_TIME = 4
_PAGE = Path(__file__).parents[1] / "PROCESS_MODELS.md"
_COLUMNS = ("process model", "sent", "pushed", "pulled", "last heartbeat of each process", "unreadable exports")
_INTRODUCTION = """# Events by process model

Written by `python -m benchmarks.process_models`. Each program records a known number of events and ends, with SIGTERM
unless the name says otherwise; some of its processes are killed with SIGKILL in between. *Pushed* is what arrived over
OTLP, *pulled* what the metrics endpoint served last. The last heartbeat is 0 for a process that ended in order, and 1
for one that was killed.
"""


def _row(model: Model) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = run(model, Path(folder))
        except ModelFailed as error:
            sys.stderr.write(f"{error}\n")
            return [str(model), "failed", "", "", "", ""]
    pulled = "no answer" if found.pulled is None else " ".join(map(str, sorted(set(found.pulled))))
    pushed = " ".join(map(str, sorted(set(found.pushed))))
    up = " ".join(map(str, sorted(found.up)))
    return [str(model), str(found.sent), pushed, pulled, up, str(found.refused or "")]


def main() -> None:
    """Print one row per process model, and write the page if all of them ran."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    table = Table(title="Events by process model")
    for column in _COLUMNS:
        table.add_column(column)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        rows = list(pool.map(_row, [model for model in MODELS if wanted in str(model)]))
    for row in rows:
        table.add_row(*row)
    Console(width=140).print(table)
    if not wanted:
        lines = [" | ".join(row) for row in (_COLUMNS, ["---"] * len(_COLUMNS), *rows)]
        _PAGE.write_text("\n".join([_INTRODUCTION, *(f"| {line} |" for line in lines), ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
