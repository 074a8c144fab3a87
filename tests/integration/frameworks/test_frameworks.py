"""Other web frameworks, HTTP clients and Celery: exact numbers under the names and labels of trust-otel's own metrics.

Each program runs in an environment of its own: `opentelemetry-instrument` loads every installed instrumentation, which
would change what other tests see.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.installation import ROOT, installed
from tests.support.running import eventually
from trust_ops.stack.ports import free_ports

_PROJECT = Path(__file__).with_name("environment")
_PROGRAMS = Path(__file__).with_name("programs")
_ENVIRONMENTS = ROOT / ".venv-frameworks"
_START_SECONDS = 60
# Most of the time they wait until trust-otel reports what is not measured.
_AT_A_TIME = 5
_NOT_MEASURED = "are not measured; to measure them"
_REPORTED_SECONDS = 8.0

_GUNICORN = ("gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}")
_UVICORN = ("uvicorn", "--port", "{port}", "--log-level", "warning")
_PYTHON = ("python",)

_REQUESTS = [
    *(f"/items/{number}" for number in range(5)),
    *(f"/none/{number}" for number in range(3)),
    "/fail",
    "/fail",
]
_STATUSES = [200] * 5 + [404] * 3 + [500] * 2

Labels = Mapping[str, str]
Series = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Service:
    """A program that answers `_REQUESTS`.

    Attributes:
        command: Server and application.
        route: `http.route` of an item; empty if the instrumentation does not know routes.
        fail_route: `http.route` of the failing request.
        error_type: `error.type` of the failing request.
    """

    command: tuple[str, ...]
    route: str = ""
    fail_route: str = ""
    error_type: str = "500"

    @property
    def counts(self) -> Counter[Series]:
        """Number of requests by labels."""
        return Counter(
            {
                _series("200", self.route, ""): 5,
                _series("404", "", ""): 3,
                _series("500", self.fail_route, self.error_type): 2,
            }
        )


def _series(status: str, route: str, error_type: str) -> Series:
    labels = {
        "http_request_method": "GET",
        "url_scheme": "http",
        "network_protocol_version": "1.1",
        "http_response_status_code": status,
        "http_route": route,
        "error_type": error_type,
    }
    return "http_server_request_duration_seconds_count", frozenset(
        (name, text) for name, text in labels.items() if text
    )


_FASTAPI = Service((*_UVICORN, "fastapi_service:application"), "/items/{number:int}", "/fail", "RuntimeError")
SERVICES = {
    "FastAPI": _FASTAPI,
    "Flask": Service((*_GUNICORN, "flask_service:application"), "/items/<int:number>", "/fail"),
    "Django": Service((*_GUNICORN, "django_service:application"), "items/<int:number>", "fail"),
    "Django, ASGI": Service((*_UVICORN, "django_service:asgi_application"), "items/<int:number>", "fail"),
    "aiohttp": Service((*_PYTHON, "aiohttp_service.py", "{port}"), "/items/{number}", "/fail", "RuntimeError"),
    "Falcon": Service((*_GUNICORN, "falcon_service:application"), "/items/{number:int}", "/fail"),
    "WSGI": Service((*_GUNICORN, "wsgi_service:application"), error_type="RuntimeError"),
    "Litestar": Service((*_UVICORN, "litestar_service:application")),
    "Pyramid": Service((*_GUNICORN, "pyramid_service:application"), error_type=""),
}

UNMEASURED = {
    "Flask": ((*_UVICORN, "--interface", "wsgi", "flask_service:application"), "opentelemetry-instrumentation-flask"),
    "Django": ((*_UVICORN, "django_service:asgi_application"), "opentelemetry-instrumentation-django"),
    "aiohttp": ((*_PYTHON, "aiohttp_service.py", "{port}"), "opentelemetry-instrumentation-aiohttp-server"),
    "Litestar": ((*_UVICORN, "litestar_plain:application"), "OpenTelemetryPlugin of litestar.plugins.opentelemetry"),
    "Tornado": ((*_PYTHON, "tornado_service.py", "{port}"), "get_metrics().http_request_metrics()"),
    "WSGI": (
        ("gunicorn", "--bind", "127.0.0.1:{port}", "wsgi_plain:application"),
        "opentelemetry-instrumentation-wsgi",
    ),
    "ASGI": ((*_UVICORN, "asgi_plain:application"), "OpenTelemetryMiddleware of opentelemetry.instrumentation.asgi"),
}


@pytest.fixture(scope="module")
def environments() -> Mapping[str, Path]:
    """The folder of executables of each group of the project `environment`."""
    return {group: installed(_PROJECT, group, _ENVIRONMENTS) for group in ("frameworks", "instrumented")}


class Program:
    """A running program, its endpoint and its log."""

    def __init__(self, binaries: Path, command: Sequence[str], folder: Path, **variables: str) -> None:
        self.port, self._metrics_port = free_ports(2)
        self._log = folder / "log"
        executable, *arguments = (part.format(port=self.port) for part in command)
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment |= {
            "PYTHONPATH": str(_PROGRAMS),
            "OTEL_SERVICE_NAME": "test",
            "OTEL_METRICS_EXPORTER": "prometheus",
            "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(self._metrics_port),
            **variables,
        }
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [str(binaries / "opentelemetry-instrument"), str(binaries / executable), *arguments],
                cwd=_PROGRAMS if executable == "python" else folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    def log(self) -> str:
        """What it has written."""
        return self._log.read_text(errors="replace")

    def wait_for(self, done: Callable[[], bool]) -> None:
        """Wait until something is true, as long as the program runs."""
        deadline = time.monotonic() + _START_SECONDS
        while not done():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def get(self, path: str) -> int:
        """Send a request; returns the status."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def scrape(self) -> dict[Series, float]:
        """The samples of its endpoint, without the labels of the resource."""
        address = f"http://127.0.0.1:{self._metrics_port}/metrics"
        with urllib.request.urlopen(address, timeout=30) as response:
            text = response.read().decode()
        return {
            (
                sample.name,
                frozenset((name, value) for name, value in sample.labels.items() if not name.startswith("service_")),
            ): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def counts(self, name: str) -> Counter[Series]:
        """The samples of this name that are not 0, by labels."""
        with suppress(urllib.error.URLError):
            return Counter(
                {series: int(value) for series, value in self.scrape().items() if series[0] == name and value}
            )
        return Counter()

    def wait_for_report(self) -> None:
        """Scrape until trust-otel has reported what is not measured, or has had the time to."""
        deadline = time.monotonic() + _REPORTED_SECONDS
        while time.monotonic() < deadline and _NOT_MEASURED not in self.log():
            self.scrape()
            time.sleep(0.5)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()


@contextmanager
def _running(binaries: Path, command: Sequence[str], folder: Path, **variables: str) -> Iterator[Program]:
    program = Program(binaries, command, folder, **variables)
    try:
        yield program
    finally:
        program.stop()


@dataclass(frozen=True)
class Result:
    """What a service answered, and what its endpoint and its log contain afterwards."""

    statuses: list[int]
    samples: dict[Series, float]
    log: str


def _listens(program: Program) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", program.port), 1):
        return True
    return False


def _serve(binaries: Path, command: Sequence[str], folder: Path, expected: Counter[Series]) -> Result:
    with _running(binaries, command, folder) as program:
        program.wait_for(lambda: _listens(program))
        statuses = [program.get(path) for path in _REQUESTS]
        # Some instrumentations record after the response was sent.
        with suppress(AssertionError):
            eventually(lambda: program.counts("http_server_request_duration_seconds_count"), expected, 10)
        program.wait_for_report()
        return Result(statuses, program.scrape(), program.log())


@dataclass(frozen=True)
class Tasks:
    """What the endpoint and the log of a Celery worker contain after 5 tasks that worked and 2 that failed."""

    counted: Counter[Series]
    log: str


def _run_tasks(binaries: Path, folder: Path) -> Tasks:
    broker = folder / "broker"
    broker.mkdir()
    variables = {"BROKER_FOLDER": str(broker)}
    command = ("celery", "--app", "celery_tasks", "worker", "--concurrency", "2", "--loglevel", "INFO")
    with _running(binaries, command, folder, **variables) as worker:
        client = [str(binaries / "python"), str(_PROGRAMS / "celery_tasks.py")]
        subprocess.run(client, env={**os.environ, **variables}, check=True, cwd=_PROGRAMS)
        ended = re.compile(r"Task documents\.\w+\[[\w-]+\] (?:succeeded|raised)")
        worker.wait_for(lambda: len(ended.findall(worker.log())) == 7)
        worker.wait_for_report()
        return Tasks(worker.counts("flower_task_runtime_seconds_count"), worker.log())


@dataclass(frozen=True)
class Runs:
    """All programs, some at a time.

    Attributes:
        served: Services with the instrumentations installed.
        unmeasured: Programs without instrumentations.
        tasks: Celery by environment.
    """

    served: Mapping[str, Future[Result]]
    unmeasured: Mapping[str, Future[Result]]
    tasks: Mapping[str, Future[Tasks]]


@pytest.fixture(scope="module")
def runs(environments: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Started before the first test."""
    instrumented, plain = environments["instrumented"], environments["frameworks"]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        yield Runs(
            served={
                name: pool.submit(_serve, instrumented, each.command, tmp_path_factory.mktemp("served"), each.counts)
                for name, each in SERVICES.items()
            },
            unmeasured={
                name: pool.submit(_serve, plain, command, tmp_path_factory.mktemp("unmeasured"), Counter())
                for name, (command, _) in UNMEASURED.items()
            },
            tasks={
                group: pool.submit(_run_tasks, binaries, tmp_path_factory.mktemp("tasks"))
                for group, binaries in environments.items()
            },
        )
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", SERVICES)
def test_every_request_counts_once_by_route_and_status(name: str, runs: Runs) -> None:
    result = runs.served[name].result()
    print(result.log)
    assert result.statuses == _STATUSES
    durations = {
        series: value for series, value in result.samples.items() if series[0].endswith("_duration_seconds_count")
    }
    assert Counter(durations) == SERVICES[name].counts
    active = {series: value for series, value in result.samples.items() if series[0] == "http_server_active_requests"}
    labels = frozenset({("http_request_method", "GET"), ("url_scheme", "http")})
    assert active == {("http_server_active_requests", labels): 0}
    assert _NOT_MEASURED not in result.log


@pytest.mark.parametrize("name", SERVICES)
def test_labels_and_buckets_are_those_of_fastapi(name: str, runs: Runs) -> None:
    def schema(result: Result) -> tuple[set[str], set[str]]:
        buckets = [
            dict(labels) for metric, labels in result.samples if metric == "http_server_request_duration_seconds_bucket"
        ]
        return {label for each in buckets for label in each}, {each["le"] for each in buckets}

    labels, bounds = schema(runs.served[name].result())
    expected_labels, expected_bounds = schema(runs.served["FastAPI"].result())
    service = SERVICES[name]
    unknown = {
        label for label, known in {"http_route": service.route, "error_type": service.error_type}.items() if not known
    }
    assert labels == expected_labels - unknown
    assert bounds == expected_bounds


@pytest.mark.parametrize("name", UNMEASURED)
def test_one_line_says_what_would_measure_it(name: str, runs: Runs) -> None:
    result = runs.unmeasured[name].result()
    lines = [line for line in result.log.splitlines() if _NOT_MEASURED in line]
    assert len(lines) == 1, result.log
    assert UNMEASURED[name][1] in lines[0]
    assert not any(metric.startswith("http_server_request_duration_seconds") for metric, _ in result.samples)


def test_every_task_of_celery_counts_once(runs: Runs) -> None:
    done = runs.tasks["instrumented"].result()
    name = "flower_task_runtime_seconds_count"
    assert done.counted == {
        (name, frozenset({("task", "documents.sign")})): 5,
        (name, frozenset({("task", "documents.fail")})): 2,
    }
    assert _NOT_MEASURED not in done.log


def test_one_line_says_what_would_measure_tasks(runs: Runs) -> None:
    log = runs.tasks["frameworks"].result().log
    lines = [line for line in log.splitlines() if _NOT_MEASURED in line]
    assert ["opentelemetry-instrumentation-celery" in line for line in lines] == [True]


class _Target(BaseHTTPRequestHandler):
    """Answers requests of clients, and exports."""

    seen: Counter[str]

    def do_GET(self) -> None:
        self.seen[self.path] += 1
        self._answer(404 if self.path == "/none" else 200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen[self.path] += 1
        self._answer(200)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Write nothing."""


@contextmanager
def _target() -> Iterator[tuple[int, Counter[str]]]:
    seen: Counter[str] = Counter()
    handler = type("Handler", (_Target,), {"seen": seen})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port, seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_requests_of_http_clients_count_once_and_those_of_trust_otel_do_not(
    environments: Mapping[str, Path], tmp_path: Path
) -> None:
    with _target() as (port, seen):
        url = f"http://127.0.0.1:{port}"
        variables = {
            "OTEL_METRICS_EXPORTER": "otlp,prometheus",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "TRUST_OTEL_CERTIFICATES": f"list=crl+{url}/list.crl",
            "TRUST_OTEL_CERTIFICATE_INTERVAL": "0.2",
            "TRUST_OTEL_DEPENDENCIES": f"peer={url}/health",
            "TRUST_OTEL_DEPENDENCY_INTERVAL": "0.2",
        }
        command = (*_PYTHON, "http_clients.py", str(port))
        with _running(environments["instrumented"], command, tmp_path, **variables) as program:
            program.wait_for(lambda: "done" in program.log())
            # Requests of trust-otel itself, each by another library; the first ones may precede the instrumentation.
            program.wait_for(lambda: "/v1/traces" in seen)
            repeated = ("/v1/metrics", "/list.crl", "/health")
            before = Counter(seen)
            program.wait_for(lambda: all(seen[path] >= before[path] + 2 for path in repeated))
            counted = program.counts("http_client_request_duration_seconds_count")
            text = str(program.scrape())
        assert seen["/ok/1"] + seen["/ok/2"] + seen["/none"] == 18
    by_status: Counter[str] = Counter()
    for (_, labels), count in counted.items():
        by_status[dict(labels)["http_response_status_code"]] += count
        assert dict(labels).get("server_address", "127.0.0.1") == "127.0.0.1"
    assert by_status == {"200": 12, "404": 6}
    assert "url_full" not in text
    assert "/ok/1" not in text
    assert "body_size" not in text
