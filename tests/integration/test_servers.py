"""A server behaves with trust-otel as without it, and every request is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from benchmarks.servers.cells import CELLS, Cell
from benchmarks.servers.running import Run, log_lines, run, tracebacks

# Less than the 10 s after which `docker stop` kills. `python -m benchmarks.servers` measures the difference.
_SECONDS_MORE = 8.0

# Two at a time, each with and without trust-otel: four servers in parallel.
_AT_A_TIME = 2

Pair = tuple[Run, Run]


@pytest.fixture(scope="module")
def pairs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Cell], Pair]]:
    """A run without and a run with trust-otel of each selected cell, started before its test."""
    chosen: list[Any] = [
        item.callspec.params["cell"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec")
    ]

    with ThreadPoolExecutor(2 * _AT_A_TIME) as pool:

        def start(cell: Cell, *, instrumented: bool) -> Future[Run]:
            return pool.submit(run, cell, tmp_path_factory.mktemp("server"), instrumented=instrumented)

        started: dict[Cell, tuple[Future[Run], Future[Run]]] = {
            cell: (start(cell, instrumented=False), start(cell, instrumented=True)) for cell in chosen
        }
        try:
            yield lambda cell: (started[cell][0].result(), started[cell][1].result())
        finally:
            pool.shutdown(cancel_futures=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_responses_log_and_exit_are_as_without_trust_otel(cell: Cell, pairs: Callable[[Cell], Pair]) -> None:
    plain, instrumented = pairs(cell)
    print(f"--- without\n{plain.log}\n--- with\n{instrumented.log}")

    assert instrumented.answers == plain.answers
    assert instrumented.status == plain.status
    assert instrumented.processes_left == plain.processes_left
    assert instrumented.seconds_to_end < max(plain.seconds_to_end + _SECONDS_MORE, 5 * plain.seconds_to_end)
    assert tracebacks(instrumented) == tracebacks(plain)
    if not cell.to_all:
        # If worker and parent receive the signal at the same time, the order of their logs is random.
        assert log_lines(instrumented) == log_lines(plain)
    assert instrumented.counted == (instrumented.sent if cell.measured else 0)
