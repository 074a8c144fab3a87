"""The table of all runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.e2e.third_party.programs import PROGRAMS, Program
from tests.e2e.third_party.running import Run, Start

_COLUMNS = (
    "program",
    "started",
    "processor time until ready (s)",
    "memory (MiB)",
    "responses as without",
    "HTTP requests counted",
    "routes",
    "gRPC calls counted (server, client)",
    "connections opened",
    "series",
)

_HEADER = """\
# Third-party programs

Written by `make test-third-party`. Well-known servers that were not written for trust-otel: each is started without
instrumentation, with OpenTelemetry's own distribution and its instrumentations (stock), and with trust-otel, receives
the same requests, and is stopped with SIGTERM. One run each; the versions are in
`tests/e2e/third_party/environments/uv.lock`.

"""

_FOOTER = """
The requests counted are those of the test that had been exported when SIGTERM had ended the program, without the
probes that wait until it is ready; the interval is 5 s. The series are those of all processes; a histogram is one.
mlflow's API is a Flask application that FastAPI mounts, and the mount is the only route that FastAPI knows.
"""


def write_table(path: Path, runs: Mapping[tuple[str, Start], Run]) -> None:
    """Write the page of all runs, by name of the program and how it was started."""
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *(_cells(program, start, runs) for program, start in _order(runs))]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    path.write_text(_HEADER + table + _FOOTER, encoding="utf-8")


def _order(runs: Mapping[tuple[str, Start], Run]) -> Iterator[tuple[Program, Start]]:
    by_name = {program.name: program for program in PROGRAMS}
    return ((by_name[name], start) for name, start in sorted(runs))


def _cells(program: Program, start: Start, runs: Mapping[tuple[str, Start], Run]) -> Iterator[str]:
    seen = runs[program.name, start]
    yield program.name
    yield start
    yield f"{seen.cpu_seconds:.1f}"
    yield f"{seen.memory_mebibytes:.0f}"
    same = sum(one == other for one, other in zip(seen.statuses, runs[program.name, "bare"].statuses, strict=True))
    yield f"{same} of {len(seen.statuses)}"
    if start == "bare":
        yield from ("", "", "", "", "")
        return
    by_route = seen.received.by("http.server.request.duration", "http.route")
    counted = sum(count for (route,), count in by_route.items() if route != program.ready)
    yield f"{counted} of {len(program.requests)}"
    yield str(len(by_route))
    yield f"{seen.received.count('rpc.server.call.duration')}, {seen.received.count('rpc.client.call.duration')}"
    yield str(seen.received.count("db.client.connection.create_time"))
    yield str(seen.received.series())
