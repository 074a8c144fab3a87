"""`python -m benchmarks.process_models [PART OF A NAME]`: prints the events that each process model lost or doubled."""

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


def _row(model: Model) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = run(model, Path(folder))
        except ModelFailed as error:
            sys.stderr.write(f"{error}\n")
            return [str(model), "failed"]
    pulled = "no answer" if found.pulled is None else " ".join(map(str, sorted(set(found.pulled))))
    pushed = " ".join(map(str, sorted(set(found.pushed))))
    up = " ".join(map(str, sorted(found.up)))
    return [str(model), str(found.sent), pushed, pulled, up, str(found.refused or "")]


def main() -> None:
    """Print one row per process model."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    table = Table(title="Events by process model")
    for column in ("process model", "sent", "pushed", "pulled", "last heartbeat of each process", "unreadable exports"):
        table.add_column(column)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for row in pool.map(_row, [model for model in MODELS if wanted in str(model)]):
            table.add_row(*row)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
