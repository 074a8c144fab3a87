"""What docs/standard-settings.md says about variables of OpenTelemetry, seen in what a service exports and logs."""

from __future__ import annotations

import gzip
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.contract.test_standard_settings import installed_variables

Launched = Callable[..., "subprocess.CompletedProcess[str]"]

_PROGRAM = """
import asyncio, logging
import httpx
from fastapi import FastAPI
from trust_otel import get_metrics

app = FastAPI()

@app.get("/a/{b}")
async def read(b: str) -> str:
    get_metrics().record_audit_event("read")
    logging.getLogger("signer").warning("sealed %s", b)
    logging.getLogger("signer").error("broken")
    return b

async def main():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        await client.get("/a/1", headers={"traceparent": trace})
        await client.request("PROPFIND", "/a/1")
        await client.post("/a/1")

asyncio.run(main())
"""

_CONSOLE = {"OTEL_METRICS_EXPORTER": "console"}
_SPANS = {"OTEL_METRICS_EXPORTER": "none", "OTEL_TRACES_EXPORTER": "console"}
_LOGS = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "console"}
_NOTHING = {"OTEL_METRICS_EXPORTER": "none"}

_LIFELESS = "http://127.0.0.1:9"


def _documents(output: str) -> list[dict[str, Any]]:
    decoder, found, position = json.JSONDecoder(), [], 0
    while (position := output.find("{\n", position)) >= 0:
        document, position = decoder.raw_decode(output, position)
        found.append(document)
    return found


def _metrics(output: str) -> dict[str, list[dict[str, Any]]]:
    """Points of the last export by metric."""
    last = [document for document in _documents(output) if "resource_metrics" in document][-1]
    scopes = last["resource_metrics"][0]["scope_metrics"]
    return {metric["name"]: metric["data"]["data_points"] for scope in scopes for metric in scope["metrics"]}


def _spans(output: str) -> list[dict[str, Any]]:
    return [document for document in _documents(output) if "context" in document]


def _records(output: str) -> list[dict[str, Any]]:
    return [document for document in _documents(output) if "body" in document]


class Received:
    """An OTLP endpoint."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    def headers(self, path: str) -> dict[str, str]:
        return next(headers for found, headers, _ in self.requests if found == path)

    def metrics(self) -> dict[str, Any]:
        *_, (_, headers, body) = (each for each in self.requests if each[0] == "/v1/metrics")
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        scopes = ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics
        return {metric.name: metric for scope in scopes for metric in scope.metrics}


@pytest.fixture
def endpoint() -> Iterator[Received]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received.requests.append((self.path, {name.lower(): text for name, text in self.headers.items()}, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = Received(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield received
        server.shutdown()
        thread.join()


def test_invalid_values_do_not_stop_the_metrics(launched: Launched) -> None:
    chosen = {"OTEL_CONFIG_FILE", "OTEL_PROPAGATORS", "OTEL_PYTHON_CONFIGURATOR", "OTEL_PYTHON_DISTRO"}
    exporters = dict.fromkeys(("OTEL_METRICS_EXPORTER", "OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER"), "console")
    done = launched(_PROGRAM, **(dict.fromkeys(installed_variables() - chosen, "(invalid") | exporters))
    assert done.returncode == 0, done.stderr
    assert "trust.audit.events" in _metrics(done.stdout)


@pytest.mark.parametrize(
    ("variables", "methods"),
    [
        ({}, {"GET", "_OTHER", "POST"}),
        ({"OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS": "GET,PROPFIND"}, {"GET", "PROPFIND", "_OTHER"}),
        ({"OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS": "propfind"}, {"_OTHER"}),
        ({"OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS": "GET GET"}, {"GET", "_OTHER", "POST"}),
        ({"OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS": "true"}, {"GET", "_OTHER", "POST"}),
    ],
)
def test_known_methods(launched: Launched, variables: dict[str, str], methods: set[str]) -> None:
    points = _metrics(launched(_PROGRAM, **_CONSOLE, **variables).stdout)["http.server.request.duration"]
    assert {point["attributes"]["http.request.method"] for point in points} == methods


@pytest.mark.parametrize(
    ("variables", "names", "absent"),
    [
        ({}, {"process.cpu.time", "cpython.gc.collections"}, {"otel.sdk.metric_reader.collection.duration"}),
        (
            {"OTEL_PYTHON_SYSTEM_METRICS_EXCLUDED_METRICS": "process.*"},
            {"cpython.gc.collections"},
            {"process.cpu.time", "process.memory.usage"},
        ),
        (
            {"OTEL_PYTHON_SYSTEM_METRICS_EXCLUDED_METRICS": "cpython.gc.collections , process.cpu.time"},
            {"process.memory.usage"},
            {"process.cpu.time", "cpython.gc.collections"},
        ),
        (
            {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "system_metrics"},
            {"http.server.request.duration"},
            {"process.cpu.time", "cpython.gc.collections"},
        ),
        (
            {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "Trust_HTTP, sqlalchemy"},
            {"http.server.request.duration"},
            {"db.client.operation.duration"},
        ),
    ],
)
def test_what_is_recorded(launched: Launched, variables: dict[str, str], names: set[str], absent: set[str]) -> None:
    found = _metrics(launched(_PROGRAM, **_CONSOLE, **variables).stdout)
    assert names <= found.keys()
    assert not absent & found.keys()


_DATABASE_AND_GRPC = """
import asyncio
from concurrent.futures import ThreadPoolExecutor
import grpc, grpc.aio
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

def answer(request, context):
    return request

handler = grpc.unary_unary_rpc_method_handler(answer)
services = [grpc.method_handlers_generic_handler(name, {"Check": handler}) for name in ("a.B", "grpc.health.v1.Health")]
server = grpc.server(ThreadPoolExecutor(1), handlers=services)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    for name in ("a.B", "grpc.health.v1.Health"):
        channel.unary_unary(f"/{name}/Check")(b"x")
server.stop(None).wait()

with sqlalchemy.create_engine("sqlite://").connect() as connection:
    connection.execute(sqlalchemy.text("SELECT 1"))

async def main():
    async with create_async_engine("sqlite+aiosqlite://").connect() as connection:
        await connection.execute(sqlalchemy.text("SELECT 1"))

asyncio.run(main())
"""
_DB, _SERVER, _CLIENT = "db.client.operation.duration", "rpc.server.call.duration", "rpc.client.call.duration"


@pytest.mark.parametrize(
    ("variables", "recorded"),
    [
        ({}, {_DB, _SERVER, _CLIENT}),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "sqlalchemy"}, {_SERVER, _CLIENT}),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "trust_sqlalchemy , redis"}, {_SERVER, _CLIENT}),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "grpc_server"}, {_DB, _CLIENT}),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "grpc_client,grpc_aio_server"}, {_DB, _SERVER}),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "trust_grpc"}, {_DB}),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "grpc,sqlalchemy"}, set()),
        ({"OTEL_PYTHON_GRPC_EXCLUDED_SERVICES": "a.B,grpc.health.v1.Health"}, {_DB}),
    ],
)
def test_disabled_instrumentations_record_neither_metrics_nor_spans(
    launched: Launched, variables: dict[str, str], recorded: set[str]
) -> None:
    done = launched(_DATABASE_AND_GRPC, **_CONSOLE, OTEL_TRACES_EXPORTER="console", **variables)
    assert done.returncode == 0, done.stderr
    assert _metrics(done.stdout).keys() & {_DB, _SERVER, _CLIENT} == recorded
    kinds = {span["kind"] for span in _spans(done.stdout) if "rpc.system" in span["attributes"]}
    assert ("SpanKind.SERVER" in kinds) is (_SERVER in recorded)
    assert ("SpanKind.CLIENT" in kinds) is (_CLIENT in recorded)
    of_database = [span for span in _spans(done.stdout) if span["name"].startswith(("SELECT", "connect"))]
    if find_spec("opentelemetry.instrumentation.sqlalchemy") is not None:
        assert bool(of_database) is (_DB in recorded)


@pytest.mark.parametrize(
    ("variables", "has_exemplars"),
    [
        ({}, True),
        ({"OTEL_METRICS_EXEMPLAR_FILTER": "always_off"}, False),
        ({"OTEL_METRICS_EXEMPLAR_FILTER": "ALWAYS_ON"}, True),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, False),
    ],
)
def test_exemplars(launched: Launched, variables: dict[str, str], has_exemplars: bool) -> None:
    done = launched(_PROGRAM, **_CONSOLE, OTEL_TRACES_EXPORTER="console", **variables)
    points = _metrics(done.stdout)["http.server.request.duration"]
    assert any(point["exemplars"] for point in points) is has_exemplars


def test_exporters_have_their_options(launched: Launched, endpoint: Received) -> None:
    done = launched(
        _PROGRAM,
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_LOGS_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint.url,
        OTEL_EXPORTER_OTLP_HEADERS="tenant=pki",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_EXPORTER_OTLP_TRACES_HEADERS="tenant=spans",
        OTEL_EXPORTER_OTLP_LOGS_COMPRESSION="none",
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=f"{endpoint.url}/records",
    )
    assert (done.returncode, done.stderr.count("trust-otel")) == (0, 0), done.stderr
    options = {
        path: (endpoint.headers(path)["tenant"], endpoint.headers(path).get("content-encoding"))
        for path in ("/v1/metrics", "/v1/traces", "/records")
    }
    assert options == {
        "/v1/metrics": ("pki", "gzip"),
        "/v1/traces": ("spans", "gzip"),
        "/records": ("pki", None),
    }
    histogram = endpoint.metrics()["http.server.request.duration"]
    assert histogram.histogram.aggregation_temporality == 2  # cumulative
    assert len(histogram.histogram.data_points[0].explicit_bounds) == 15


def test_preferred_aggregation_and_temporality_are_used_and_named(launched: Launched, endpoint: Received) -> None:
    done = launched(
        _PROGRAM,
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint.url,
        OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION="base2_exponential_bucket_histogram",
        OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta",
    )
    found = endpoint.metrics()
    histogram = found["http.server.request.duration"]
    assert histogram.WhichOneof("data") == "exponential_histogram"
    assert sum(point.count for point in histogram.exponential_histogram.data_points) == 3
    assert histogram.exponential_histogram.aggregation_temporality == 1  # delta
    assert found["trust.audit.events"].sum.aggregation_temporality == 1
    assert "rules and dashboards need fixed buckets" in done.stderr
    assert "Prometheus needs cumulative metrics" in done.stderr


_PERIODIC_FILE = """
file_format: "1.0"
meter_provider:
  readers:
    - periodic:
        exporter: {otlp_http: {endpoint: "http://127.0.0.1:9/v1/metrics"}}
"""


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, ""),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "15000"}, ""),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "22000"}, ""),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "30000"}, "every 30 s (OTEL_METRIC_EXPORT_INTERVAL=30000)"),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "60000"}, "every 60 s (OTEL_METRIC_EXPORT_INTERVAL=60000)"),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "60000", "OTEL_METRICS_EXPORTER": "console"}, ""),
        (
            {
                "OTEL_METRIC_EXPORT_INTERVAL": "60000",
                "OTEL_METRICS_EXPORTER": "otlp,prometheus",
                "OTEL_EXPORTER_PROMETHEUS_PORT": "0",
            },
            "",
        ),
        ({"OTEL_CONFIG_FILE": "otel.yaml"}, "every 60 s (the `interval` of the reader in OTEL_CONFIG_FILE=60000)"),
    ],
)
def test_rare_exports_are_named(launched: Launched, tmp_path: Path, variables: dict[str, str], named: str) -> None:
    (tmp_path / "otel.yaml").write_text(_PERIODIC_FILE)
    done = launched("", OTEL_EXPORTER_OTLP_ENDPOINT=_LIFELESS, TRUST_OTEL_SHUTDOWN_TIMEOUT="0.1", **variables)
    assert ("metrics are exported every" in done.stderr) is bool(named)
    assert named in done.stderr
    if named:
        assert "count a service as down after 45 s without an export; set it to 15000 or less" in done.stderr


_COMPONENTS = """
import json
from opentelemetry import _logs, metrics, trace
from trust_otel.export.otlp import components_of

found = {}
for provider in (metrics.get_meter_provider(), trace.get_tracer_provider(), _logs.get_logger_provider()):
    for component in components_of(provider):
        for name, value in getattr(component, "__dict__", {}).items():
            if isinstance(value, (bool, int, float, str)):
                found.setdefault(f"{type(component).__name__}.{name}", []).append(value)
print("COMPONENTS", json.dumps(found))
"""


def test_processors_and_readers_have_their_options(launched: Launched) -> None:
    done = launched(
        _COMPONENTS,
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_LOGS_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=_LIFELESS,
        TRUST_OTEL_SHUTDOWN_TIMEOUT="0.1",
        OTEL_METRIC_EXPORT_INTERVAL="16001",
        OTEL_METRIC_EXPORT_TIMEOUT="12001",
        OTEL_EXPORTER_OTLP_TIMEOUT="7.5",
        OTEL_EXPORTER_OTLP_METRICS_TIMEOUT="6.5",
        OTEL_BSP_MAX_QUEUE_SIZE="1501",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE="301",
        OTEL_BSP_SCHEDULE_DELAY="4001",
        OTEL_BLRP_MAX_QUEUE_SIZE="1701",
        OTEL_BLRP_MAX_EXPORT_BATCH_SIZE="307",
        OTEL_BLRP_SCHEDULE_DELAY="4007",
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("COMPONENTS ")), done.stderr)
    values = {value for found in json.loads(line.removeprefix("COMPONENTS ")).values() for value in found}
    assert {16001, 12001, 7.5, 6.5, 301, 307} <= values
    assert {4.001, 4.007} <= values or {4001, 4007} <= values


def test_spans_have_their_sampler_limits_and_resource(launched: Launched) -> None:
    done = launched(
        _PROGRAM,
        **_SPANS,
        OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="1",
        OTEL_EXPERIMENTAL_RESOURCE_DETECTORS="process",
        OTEL_RESOURCE_ATTRIBUTES="team=pki",
    )
    spans = _spans(done.stdout)
    assert spans
    assert {len(span["attributes"]) for span in spans} <= {0, 1}
    assert all({"process.pid", "team"} <= span["resource"]["attributes"].keys() for span in spans)


@pytest.mark.parametrize(
    ("variables", "continued"),
    [
        ({}, True),
        ({"OTEL_PROPAGATORS": "tracecontext"}, True),
        ({"OTEL_PROPAGATORS": "baggage"}, False),
        ({"OTEL_PROPAGATORS": "none"}, False),
    ],
)
def test_propagators(launched: Launched, variables: dict[str, str], continued: bool) -> None:
    traces = {span["context"]["trace_id"] for span in _spans(launched(_PROGRAM, **_SPANS, **variables).stdout)}
    assert ("0x0af7651916cd43dd8448eb211c80319c" in traces) is continued


@pytest.mark.parametrize(
    ("variables", "exported"),
    [
        ({}, True),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, False),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, False),
        ({"OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_sampler(launched: Launched, variables: dict[str, str], exported: bool) -> None:
    assert bool(_spans(launched(_PROGRAM, **_SPANS, **variables).stdout)) is exported


@pytest.mark.parametrize(
    ("variables", "bodies"),
    [
        ({}, ["sealed 1", "broken"]),
        ({"OTEL_PYTHON_LOG_HANDLER_LEVEL": "error"}, ["broken"]),
        ({"OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION": "false"}, []),
        ({"OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true"}, ["sealed 1", "broken"]),
        ({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "logging"}, []),
    ],
)
def test_log_records(launched: Launched, variables: dict[str, str], bodies: list[str]) -> None:
    records = _records(launched(_PROGRAM, **_LOGS, **variables).stdout)
    assert [record["body"] for record in records if record["body"] in ("sealed 1", "broken")] == bodies


def test_code_attributes_and_limits_of_log_records(launched: Launched) -> None:
    with_code = _records(launched(_PROGRAM, **_LOGS, OTEL_PYTHON_LOG_CODE_ATTRIBUTES="true").stdout)
    logged = [record for record in with_code if not record["event_name"]]
    assert logged
    assert all("code.function.name" in record["attributes"] for record in logged)
    limited = launched(
        _PROGRAM, **_LOGS, OTEL_PYTHON_LOG_CODE_ATTRIBUTES="true", OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT="1"
    )
    assert all(len(record["attributes"]) == 1 for record in _records(limited.stdout))


def test_log_correlation_has_its_format_and_level(launched: Launched) -> None:
    program = "import logging; logging.getLogger('signer').info('sealed')"
    correlated = launched(program, **_NOTHING, OTEL_PYTHON_LOG_CORRELATION="true")
    assert "trace_id=0" in correlated.stderr
    formatted = launched(
        program,
        **_NOTHING,
        OTEL_PYTHON_LOG_CORRELATION="true",
        OTEL_PYTHON_LOG_FORMAT="<%(message)s %(otelTraceID)s>",
        OTEL_PYTHON_LOG_LEVEL="error",
    )
    assert formatted.stderr == ""


def test_variables_without_effect_are_named_once(launched: Launched) -> None:
    done = launched(
        _PROGRAM,
        **_CONSOLE,
        OTEL_TRACES_SAMPLER="always_on",
        OTEL_LOG_LEVEL="debug",
        OTEL_EXPERIMENTAL_CONFIG_FILE="otel.yaml",
        OTEL_PYTHON_METER_PROVIDER="default_meter_provider",
    )
    lines = [line for line in done.stderr.splitlines() if "has no effect" in line]
    assert len(lines) == 4
    assert "http.server.request.duration" in _metrics(done.stdout)
