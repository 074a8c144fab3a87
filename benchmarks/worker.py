"""Measures one variant in a process of its own: `python -m benchmarks.worker WORKLOADS VARIANT`.

For each case on standard input it runs one round and prints the CPU microseconds of one operation (for the memory of a
start: MiB).
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module

from benchmarks.workloads import Round


def _main(workloads: str, variant: str) -> None:
    # Nothing else may be printed between the results.
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    @cache
    def prepared(case: str) -> Round:
        made: Round = import_module(f"benchmarks.workloads.{workloads}").prepare(variant, case)
        return made

    for line in sys.stdin:
        results.write(f"{prepared(line.strip())()}\n")
        results.flush()


if __name__ == "__main__":
    _main(*sys.argv[1:])
