"""Programs that others wrote work under trust-otel as without it, and their requests are measured exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.e2e.third_party.programs import PROGRAMS, Program
from tests.e2e.third_party.running import Run, Start, run
from tests.e2e.third_party.table import write_table

pytestmark = [pytest.mark.timeout(900), pytest.mark.parametrize("program", PROGRAMS, ids=lambda each: each.name)]

Running = Callable[[Program, Start], Run]

_MAX_SERIES = 1000
_STARTS: tuple[Start, ...] = ("bare", "stock", "trust-otel")


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Runs a program once for each way to start it; the table of all runs is written at the end."""
    runs: dict[tuple[str, Start], Run] = {}

    @cache
    def once(program: Program, start: Start) -> Run:
        found = run(program, start, tmp_path_factory.mktemp(program.name))
        runs[program.name, start] = found
        return found

    yield once
    if len(runs) == len(PROGRAMS) * len(_STARTS):
        write_table(Path(request.config.getoption("--third-party-table")), runs)


@pytest.mark.parametrize("start", _STARTS)
def test_the_program_responds_and_exits_as_documented(program: Program, start: Start, running: Running) -> None:
    seen = running(program, start)
    assert seen.statuses == [request.status for request in program.requests], seen.log
    assert seen.exits == running(program, "bare").exits, seen.log


def test_every_request_is_counted_with_its_route(program: Program, running: Running) -> None:
    seen = running(program, "trust-otel")
    counts = seen.received.by(
        "http.server.request.duration", "http.request.method", "http.route", "http.response.status_code"
    )
    counted = {key: count for key, count in counts.items() if key[1] != program.ready}
    sent = Counter((request.method, request.route or "", str(request.status)) for request in program.requests)
    assert counted == sent, seen.log


def test_database_and_connection_pool_are_measured(program: Program, running: Running) -> None:
    received = running(program, "trust-otel").received
    assert received.count("db.client.operation.duration") > 0
    assert received.count("db.client.connection.create_time") > 0
    assert received.count("db.client.connection.use_time") >= received.count("db.client.connection.create_time")


def test_calls_over_grpc_are_counted_on_both_sides(program: Program, running: Running) -> None:
    received = running(program, "trust-otel").received
    served = received.by("rpc.server.call.duration", "rpc.method", "rpc.response.status_code")
    called = received.by("rpc.client.call.duration", "rpc.method", "rpc.response.status_code")
    assert bool(served) is program.rpc
    assert served == called


def test_series_stay_bounded_and_nothing_is_dropped(program: Program, running: Running) -> None:
    received = running(program, "trust-otel").received
    assert 0 < received.series() < _MAX_SERIES
    assert received.count("trust.otel.overflow") == 0
    assert received.count("trust.otel.dropped") == 0
    assert received.refused == 0


def test_trust_otel_logs_no_error(program: Program, running: Running) -> None:
    seen = running(program, "trust-otel")
    bare = running(program, "bare")
    assert seen.log.count("Traceback") == bare.log.count("Traceback"), seen.log
    assert "ERROR:trust_otel" not in seen.log
