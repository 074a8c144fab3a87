"""Runs the variants side by side: one process each, whose rounds alternate."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import IO, cast

from benchmarks.installation import ROOT, NotAvailableError
from benchmarks.receiver import receiver
from benchmarks.rows import ROUNDS, Row
from benchmarks.variants import VARIANTS, Variant

# The same code costs more in one process than in another, by 2 % of a request, so the minimum is over several.
_ROUNDS_OF_A_PROCESS = 25


@dataclass(frozen=True)
class Costs:
    """The costs of one row, before anything is subtracted.

    Attributes:
        rounds: Cost of an operation in each round, by variant.
        not_available: Reason, by variant.
    """

    rounds: Mapping[str, list[float]] = field(default_factory=dict)
    not_available: Mapping[str, str] = field(default_factory=dict)


def measure(
    rows: Iterable[Row], rounds: Mapping[str, int] = ROUNDS, progress: Callable[[str, int, int], None] | None = None
) -> dict[Row, Costs]:
    """Measure rows; those of a group take turns.

    Args:
        rounds: Number of rounds, by module of workloads.
        progress: Called with the group, the number of the round and the number of rounds.
    """
    measured: dict[Row, Costs] = {}
    with receiver() as endpoint:
        for name, group in groupby(rows, attrgetter("group")):
            together = list(group)
            report = partial(progress or (lambda *_: None), name)
            measured |= _measure(together, endpoint, rounds[together[0].workloads], report)
    return measured


def _measure(rows: list[Row], endpoint: str, rounds: int, progress: Callable[[int, int], None]) -> dict[Row, Costs]:
    workloads = rows[0].workloads
    # Rows share the rounds of a case and variant.
    wanted = list(dict.fromkeys(run for row in rows for run in row.runs.values()))
    taken: dict[tuple[str, str], list[float]] = {pair: [] for pair in wanted}
    not_available: dict[str, str] = {}
    with ExitStack() as stack:
        workers: dict[str, _Worker] = {}
        for number in range(rounds):
            progress(number, rounds)
            if number % _ROUNDS_OF_A_PROCESS == 0:
                stack.close()
                workers.clear()
            for case, name in wanted:
                if name in not_available:
                    continue
                try:
                    if name not in workers:
                        workers[name] = stack.enter_context(_Worker(VARIANTS[name], workloads, name, endpoint))
                    taken[case, name].append(workers[name].round(case))
                except NotAvailableError as error:
                    not_available[name] = str(error)
        progress(rounds, rounds)
    return {
        row: Costs(
            {name: taken[run] for name, run in row.runs.items() if run[1] not in not_available},
            {name: not_available[run[1]] for name, run in row.runs.items() if run[1] in not_available},
        )
        for row in rows
    }


class _Worker:
    """A process of `benchmarks.worker`."""

    def __init__(self, variant: Variant, workloads: str, name: str, endpoint: str) -> None:
        # It starts the programs that it measures itself.
        command = variant.command()[-1:] if workloads == "startup" else variant.command()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "-m", "benchmarks.worker", workloads, name],
            cwd=ROOT,
            env=variant.process_environment(endpoint),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        cast("IO[str]", self._process.stdin).close()
        self._process.wait()
        self._errors.close()

    def round(self, case: str) -> float:
        """Run a round and return the cost of an operation.

        Raises:
            NotAvailableError: The process ended.
        """
        cases, results = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)
        try:
            cases.write(f"{case}\n")
            cases.flush()
            return float(results.readline())
        except (BrokenPipeError, ValueError):
            self._process.wait()
            self._errors.seek(0)
            last_line = self._errors.read().strip().rpartition("\n")[2]
            raise NotAvailableError(last_line or f"exited with status {self._process.returncode}") from None
