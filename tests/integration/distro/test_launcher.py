"""Whole services under `opentelemetry-instrument`."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

Launched = Callable[..., "subprocess.CompletedProcess[str]"]
Parse = Callable[[str], Mapping[Any, float]]

_SERVICE = """
import asyncio, sys
import httpx
from fastapi import FastAPI
from trust_otel import get_metrics

app, inner = FastAPI(), FastAPI()

@app.get("/a/{b}")
async def read(b: str) -> str:
    get_metrics().record_audit_event("read")
    return b

@inner.get("/{c}")
async def deep(c: str) -> str:
    return c

app.mount("/sub", inner)

async def main():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        for path in ("/a/1", "/a/2", "/sub/3"):
            assert (await client.get(path)).status_code == 200

asyncio.run(main())
print("MODULES", *sorted(sys.modules))
"""


def _documents(output: str) -> list[dict[str, Any]]:
    """The JSON documents of the console exporters."""
    decoder, found, position = json.JSONDecoder(), [], 0
    while (position := output.find("{\n", position)) >= 0:
        document, position = decoder.raw_decode(output, position)
        found.append(document)
    return found


def _requests(documents: list[dict[str, Any]]) -> dict[str, int]:
    """Requests by route, over all libraries."""
    *_, last = [document for document in documents if "resource_metrics" in document]
    counts: dict[str, int] = {}
    for scope in last["resource_metrics"][0]["scope_metrics"]:
        for metric in scope["metrics"]:
            if metric["name"].startswith("http.server.") and metric["name"].endswith("duration"):
                for point in metric["data"]["data_points"]:
                    route = point["attributes"]["http.route"]
                    counts[route] = counts.get(route, 0) + point["count"]
    return counts


def _modules(done: "subprocess.CompletedProcess[str]") -> set[str]:
    printed = re.search("^MODULES (.*)$", done.stdout, re.MULTILINE)
    assert printed, done.stdout
    return set(printed[1].split())


def test_span_instrumentations_are_not_loaded_without_spans(launched: Launched) -> None:
    done = launched(_SERVICE, OTEL_METRICS_EXPORTER="console")
    assert (done.returncode, done.stderr) == (0, "")
    modules = _modules(done)
    for name in ("fastapi", "starlette", "asgi", "grpc", "sqlalchemy"):
        assert f"opentelemetry.instrumentation.{name}" not in modules
    assert "opentelemetry.sdk.trace.export" not in modules or "opentelemetry.exporter.otlp" not in modules
    documents = _documents(done.stdout)
    assert _requests(documents) == {"/a/{b}": 2, "/sub/{c}": 1}
    names = {
        metric["name"] for scope in documents[-1]["resource_metrics"][0]["scope_metrics"] for metric in scope["metrics"]
    }
    assert {"process.cpu.time", "process.memory.usage", "cpython.gc.collections", "trust.otel.dropped"} <= names
    assert "trust.audit.events" in names


def test_fastapi_creates_the_spans_and_nothing_counts_twice(launched: Launched) -> None:
    done = launched(_SERVICE, OTEL_METRICS_EXPORTER="console", OTEL_TRACES_EXPORTER="console")
    assert done.returncode == 0
    assert "opentelemetry.instrumentation.fastapi" not in _modules(done)
    documents = _documents(done.stdout)
    assert _requests(documents) == {"/a/{b}": 2, "/sub/{c}": 1}
    servers = [document for document in documents if document.get("kind") == "SpanKind.SERVER"]
    assert [span["attributes"]["http.route"] for span in servers if "a" in span["attributes"]["url.path"]] == [
        "/a/{b}"
    ] * 2
    assert all(span["resource"]["attributes"]["service.name"] == "test" for span in servers)
    assert all("http.request.method" in span["attributes"] for span in servers)


@pytest.mark.parametrize("variable", ["OTEL_PYTHON_EXCLUDED_URLS", "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS"])
def test_excluded_urls_have_no_span_and_no_series(launched: Launched, variable: str) -> None:
    settings = {"OTEL_METRICS_EXPORTER": "console", "OTEL_TRACES_EXPORTER": "console", variable: "/a/"}
    documents = _documents(launched(_SERVICE, **settings).stdout)
    servers = [document for document in documents if document.get("kind") == "SpanKind.SERVER"]
    assert {span["attributes"].get("http.route") for span in servers} == {"/sub/{c}"}
    assert _requests(documents) == {"/sub/{c}": 1}


@pytest.mark.parametrize("disabled", ["trust_http", "fastapi", "asgi", "starlette, fastapi", "*"])
def test_disabled_instrumentation_of_fastapi_records_nothing(launched: Launched, disabled: str) -> None:
    settings = {"OTEL_METRICS_EXPORTER": "console", "OTEL_TRACES_EXPORTER": "console"}
    done = launched(_SERVICE, **settings, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled)
    assert done.returncode == 0, done.stderr
    documents = _documents(done.stdout)
    names = {
        metric["name"] for scope in documents[-1]["resource_metrics"][0]["scope_metrics"] for metric in scope["metrics"]
    }
    assert "trust.audit.events" in names
    assert not any(name.startswith("http.") for name in names)
    assert not any(document.get("kind") == "SpanKind.SERVER" for document in documents)


def test_other_names_leave_fastapi_instrumented(launched: Launched) -> None:
    settings = {"OTEL_METRICS_EXPORTER": "console", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "starlette,FastAPI,grpc"}
    assert _requests(_documents(launched(_SERVICE, **settings).stdout)) == {"/a/{b}": 2, "/sub/{c}": 1}


def test_log_records_are_exported_if_configured(launched: Launched) -> None:
    program = "import logging; logging.getLogger('signer').warning('seal broken')"
    done = launched(
        program,
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="console",
        OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED="true",
    )
    assert done.returncode == 0
    assert "seal broken" in done.stdout


def test_disabled_sdk_costs_nothing(launched: Launched) -> None:
    done = launched(_SERVICE, OTEL_SDK_DISABLED="true", OTEL_METRICS_EXPORTER="console")
    assert (done.returncode, done.stderr) == (0, "")
    assert _documents(done.stdout) == []
    modules = _modules(done)
    assert "trust_otel.instrumentation.http" not in modules
    assert "opentelemetry.instrumentation.system_metrics" not in modules


def test_strict_mode_refuses_to_start_and_lists_all_invalid_values(launched: Launched) -> None:
    done = launched(
        "print('started')",
        TRUST_OTEL_STRICT="true",
        OTEL_METRICS_EXPORTER="none,otlp",
        OTEL_METRIC_EXPORT_INTERVAL="15s",
        TRUST_OTEL_TYPO="1",
    )
    assert (done.returncode, done.stdout) == (78, "")
    assert "Traceback" not in done.stderr
    for part in ("TRUST_OTEL_STRICT=true", "'none,otlp'", "'15s'", "TRUST_OTEL_TYPO"):
        assert part in done.stderr


def test_invalid_values_are_logged_and_the_service_starts(launched: Launched) -> None:
    done = launched(
        "print('started')", OTEL_METRICS_EXPORTER="none", OTEL_TRACES_EXPORTER="consol", OTEL_SERVICE_NAME=""
    )
    assert (done.returncode, done.stdout) == (0, "started\n")
    assert done.stderr.count("OTEL_TRACES_EXPORTER='consol'") == 1
    assert "OTEL_SERVICE_NAME" in done.stderr


_FILE = """
file_format: "1.0"
resource:
  attributes:
    - {name: service.name, value: from-file}
meter_provider:
  readers:
    - periodic:
        interval: 60000
        exporter: {console: {}}
"""


def test_configuration_file_takes_precedence_and_metrics_are_exported(launched: Launched, tmp_path: Path) -> None:
    (tmp_path / "otel.yaml").write_text(_FILE)
    done = launched(_SERVICE, OTEL_CONFIG_FILE=str(tmp_path / "otel.yaml"), OTEL_METRICS_EXPORTER="prometheus")
    assert done.returncode == 0, done.stderr
    documents = [document for document in _documents(done.stdout) if "resource_metrics" in document]
    assert documents[-1]["resource_metrics"][0]["resource"]["attributes"]["service.name"] == "from-file"
    assert _requests(documents) == {"/a/{b}": 2, "/sub/{c}": 1}
    bounds = {
        tuple(point["explicit_bounds"])
        for scope in documents[-1]["resource_metrics"][0]["scope_metrics"]
        for metric in scope["metrics"]
        if metric["name"] == "http.server.request.duration"
        for point in metric["data"]["data_points"]
    }
    assert bounds == {(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2, 2.5, 5, 7.5, 10)}


@pytest.mark.parametrize(
    ("instrumentations", "requests"),
    [
        ("{fastapi: {enabled: false}}", {}),
        ("{trust_http: {enabled: false}}", {}),
        ("{starlette: {enabled: false}, redis: {enabled: false}}", {"/a/{b}": 2, "/sub/{c}": 1}),
        ("{fastapi: {enabled: true}}", {"/a/{b}": 2, "/sub/{c}": 1}),
        ("{fastapi: {excluded_urls: a}}", {"/a/{b}": 2, "/sub/{c}": 1}),
    ],
)
def test_instrumentations_of_a_configuration_file(
    launched: Launched, tmp_path: Path, instrumentations: str, requests: dict[str, int]
) -> None:
    (tmp_path / "otel.yaml").write_text(_FILE + f"instrumentation/development: {{python: {instrumentations}}}\n")
    done = launched(_SERVICE, OTEL_CONFIG_FILE=str(tmp_path / "otel.yaml"))
    assert done.returncode == 0, done.stderr
    documents = [document for document in _documents(done.stdout) if "resource_metrics" in document]
    assert _requests(documents) == requests
    assert ("the options of fastapi in OTEL_CONFIG_FILE have no effect" in done.stderr) is (
        "excluded" in instrumentations
    )


def test_spans_of_a_configuration_file_without_a_propagator_do_not_break_requests(
    launched: Launched, tmp_path: Path
) -> None:
    """With OpenTelemetry 1.45, every request would fail."""
    (tmp_path / "otel.yaml").write_text(
        _FILE + "tracer_provider: {processors: [{simple: {exporter: {console: {}}}}]}\n"
    )
    done = launched(_SERVICE, OTEL_CONFIG_FILE=str(tmp_path / "otel.yaml"))
    assert done.returncode == 0, done.stderr
    documents = _documents(done.stdout)
    assert _requests(documents) == {"/a/{b}": 2, "/sub/{c}": 1}
    assert len([document for document in documents if document.get("kind") == "SpanKind.SERVER"]) >= 3


def test_spans_without_any_propagator_do_not_break_requests(launched: Launched) -> None:
    done = launched(_SERVICE, OTEL_METRICS_EXPORTER="none", OTEL_TRACES_EXPORTER="console", OTEL_PROPAGATORS="none")
    assert done.returncode == 0, done.stderr
    assert "SpanKind.SERVER" in done.stdout


def test_missing_configuration_file_does_not_stop_the_service(launched: Launched, tmp_path: Path) -> None:
    done = launched("print('started')", OTEL_CONFIG_FILE=str(tmp_path / "missing.yaml"))
    assert (done.returncode, done.stdout) == (0, "started\n")
    assert "missing.yaml" in done.stderr


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def served(launcher: tuple[list[str], dict[str, str]], tmp_path: Path) -> Iterator[Callable[..., tuple[Any, int, int]]]:
    """A service under uvicorn: its process, its port, and the port of its metrics."""
    started: list[Any] = []

    def start(program: str, **variables: str) -> tuple[Any, int, int]:
        command, environment = launcher
        (tmp_path / "served.py").write_text(program)
        port, metrics_port = _free_port(), _free_port()
        process = subprocess.Popen(
            [*command, "-m", "uvicorn", "served:app", "--port", str(port), "--log-level", "warning"],
            env={
                **environment,
                "OTEL_METRICS_EXPORTER": "prometheus",
                "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
                "OTEL_EXPORTER_PROMETHEUS_PORT": str(metrics_port),
                **variables,
            },
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        for _ in range(200):
            if process.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                except OSError:
                    time.sleep(0.05)
                else:
                    return process, port, metrics_port
        raise AssertionError(process.communicate()[0])

    yield start
    for process in started:
        process.kill()
        process.communicate()


_SERVED = """
import asyncio
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()

@app.get("/a/{b}")
def read(b: str) -> str:
    return b

@app.get("/broken")
async def broken() -> None:
    raise ZeroDivisionError

@app.get("/endless")
async def endless() -> StreamingResponse:
    async def parts():
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.005)
    return StreamingResponse(parts())
"""


def test_service_under_uvicorn(served: Callable[..., tuple[Any, int, int]], parsed: Parse) -> None:
    process, port, metrics_port = served(_SERVED)
    base = f"http://127.0.0.1:{port}"
    threads = [threading.Thread(target=_get, args=(f"{base}/a/{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _get(f"{base}/broken")[0] == 500
    assert _get(f"{base}/nowhere")[0] == 404
    with socket.create_connection(("127.0.0.1", port)) as leaving:
        leaving.sendall(b"GET /endless HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n")
        leaving.recv(2000)
    for junk in (
        b"NONSENSE\r\n\r\n",
        b"BREW /a/x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a/x HTTP/9.9\r\nHost: x\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port)) as odd:
            odd.sendall(junk)
            odd.recv(2000)

    def count(**labels: str) -> float:
        samples = parsed(_get(f"http://127.0.0.1:{metrics_port}/metrics")[1])
        return sum(
            value
            for (name, has), value in samples.items()
            if name == "http_server_request_duration_seconds_count" and labels.items() <= dict(has).items()
        )

    for _ in range(100):
        if count(http_route="/endless"):
            break
        time.sleep(0.05)
    assert count(http_route="/a/{b}", http_request_method="GET", network_protocol_version="1.1") == 20
    assert count(http_route="/broken", error_type="ZeroDivisionError") == 1
    assert count(http_response_status_code="404") == 1
    assert count(http_route="/endless") == 1
    samples = parsed(_get(f"http://127.0.0.1:{metrics_port}/metrics")[1])
    active = [value for (name, _), value in samples.items() if name == "http_server_active_requests"]
    assert sum(active) == 0
    assert any(name == "process_memory_usage_bytes" for name, _ in samples)
    process.send_signal(signal.SIGTERM)
    assert (
        "Traceback" not in process.communicate(timeout=20)[0].replace("ZeroDivisionError", "").partition("Traceback")[2]
    )


def test_port_in_use_is_logged_and_the_service_starts(served: Callable[..., tuple[Any, int, int]]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process, port, _ = served(_SERVED, OTEL_EXPORTER_PROMETHEUS_PORT=str(taken.getsockname()[1]))
        assert _get(f"http://127.0.0.1:{port}/a/x") == (200, '"x"')
        os.kill(process.pid, signal.SIGTERM)
        assert "OTEL_EXPORTER_PROMETHEUS_PORT" in process.communicate(timeout=20)[0]
