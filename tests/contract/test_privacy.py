"""No personal data from a service or its clients is in series, spans or log lines of trust-otel."""

import gzip
import inspect
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from tests.collected import scraped
from tests.recorder_methods import NAMES, method_of
from trust_otel import settings
from trust_otel.metrics import event
from trust_otel.metrics.database import PoolState
from trust_otel.metrics.executor import ExecutorState
from trust_otel.metrics.key_policy import KeyPolicy
from trust_otel.metrics.kpi import Kpi
from trust_otel.metrics.pkcs11 import TokenState
from trust_otel.metrics.recorder import Recorder
from trust_otel.metrics.request import Request
from trust_otel.metrics.rpc import RpcCall, RpcMethod
from trust_otel.metrics.sla import Sla
from trust_otel.semconv import attributes
from trust_otel.semconv.definitions import Attribute

_SPANS_OF_SQLALCHEMY = find_spec("opentelemetry.instrumentation.sqlalchemy") is not None

PERSONAL = {
    "e-mail address": "erika.mustermann@example.org",
    "name": "Erika Mustermann",
    "card": "4111111111111111",
    "card in groups": "4111-1111-1111-1111",
    "account": "DE89370400440532013000",
    "phone": "+4915123456789",
    "identity": "131052-308T",
    "web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJlcmlrYSJ9.dozjgNryP4J3jVmNHl0w5N",
    "access key": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "session": "550e8400-e29b-41d4-a716-446655440000",
    "statement": "SELECT iban FROM persons WHERE name = 'Erika Mustermann'",
    "statement of several lines": "SELECT iban\nFROM persons\nWHERE name = 'Erika Mustermann'",
    "credentials": "postgresql://erika:geheimnis@db.example.org/trust",
    "subject": "CN=Erika Mustermann,O=Example",
    "query": "/callback?name=erika&code=geheimnis",
}

TRACES = (
    "erika",
    "mustermann",
    "geheimnis",
    "41111111",
    "4111-1111",
    "70400440532",
    "4915123456789",
    "131052-",
    "-308t",
    "eyjhbgci",
    "dozjgnry",
    "9f86d081884c",
    "550e8400",
    "persons",
    "iban",
)
"""Parts of the data in lower case, none of which may be found. Six digits could be found by chance."""

HARMLESS = "harmless"


def traces_in(text: str) -> list[str]:
    return [trace for trace in TRACES if trace in text.lower()]


def output(recording: Any) -> str:
    """All exported data: the endpoint's text, and the bytes of OTLP."""
    return scraped(recording) + encode_metrics(recording.collect()).SerializeToString().decode("latin-1")


class Asked(Request):
    """A request with the datum in every part."""

    def __init__(self, datum: str) -> None:
        self._datum = datum

    def find_client_address(self) -> str | None:
        return self._datum

    def authentication_method(self) -> str | None:
        return self._datum


def _sla(datum: str) -> Sla:
    return Sla(datum, "trust.document.processing.duration", 0.9, {}, {}, 1.0)


_NAMES = [each.name for each in vars(attributes).values() if isinstance(each, Attribute)]

_BY_TYPE: dict[str, Callable[[str], Any]] = {
    "str": lambda datum: datum,
    "Side": lambda datum: datum,
    "Literal['commit', 'rollback']": lambda datum: datum,
    "int | str": lambda datum: datum,
    "bool": lambda datum: False,
    "float": lambda datum: 1.0,
    "datetime | float": lambda datum: 2e9,
    "Mapping[str, object]": lambda datum: {
        datum: datum,
        **dict.fromkeys(("currency", "country", "client"), datum),
        **dict.fromkeys(_NAMES, datum),
    },
    "Request": Asked,
    "Iterable[Sla]": lambda datum: [_sla(datum)],
    "Iterable[Kpi]": lambda datum: [Kpi(datum, "counter")],
    "Iterable[KeyPolicy]": lambda datum: [KeyPolicy(datum, datum, timezone.utc)],
    "Callable[[], Iterable[TokenState]]": lambda datum: lambda: [TokenState(datum, 1, 2, {datum: 3})],
    "Callable[[], Mapping[str, int]]": lambda datum: lambda: {datum: 1},
    "Callable[[], Iterable[PoolState]]": lambda datum: lambda: [PoolState(datum, 1, 1, 0, 2, 2)],
    "Callable[[], Iterable[ExecutorState]]": lambda datum: lambda: [ExecutorState(datum, 1, 2, 0)],
    "Callable[[], float]": lambda datum: lambda: datum,
    "Callable[[], Mapping[str, datetime | float | None]]": lambda datum: lambda: {datum: 2e9},
    "Callable[[Mapping[str, Any]], bool]": lambda datum: lambda entry: False,
    "Mapping[bytes, Mapping[str, Any]]": lambda datum: {datum.encode(): {datum: datum}},
    "Certificate": lambda datum: datum,
    "Callable[[str], str | None]": lambda datum: lambda address: datum,
    "Callable[[str], tuple[str, ...]]": lambda datum: lambda address: (datum,),
}

_TOLD: Mapping[tuple[str, str], object] = {
    # These arguments are logged, but only trust-otel passes them, which other tests cover.
    ("record_source", "problem"): None,
}

METHODS = sorted(NAMES)


def _value(method: str, parameter: inspect.Parameter, datum: str) -> Any:
    if (method, parameter.name) in _TOLD:
        return _TOLD[method, parameter.name]
    annotation = str(parameter.annotation).removesuffix(" | None")
    for quoted in ('"', "'"):
        if annotation.startswith(quoted) and annotation.endswith(quoted) and "[" not in annotation:
            annotation = annotation.strip(quoted)
    annotation = annotation.replace('"', "").removesuffix(" | None")
    if annotation not in _BY_TYPE:
        pytest.fail(f"_BY_TYPE has no personal data for {method}({parameter.name}: {parameter.annotation})")
    return _BY_TYPE[annotation](datum)


def push(recorder: Recorder, method: str, datum: str) -> None:
    """Call a method and use its result, with the datum in all arguments."""
    call = method_of(recorder, method)
    positional, named = [], {}
    for parameter in inspect.signature(call).parameters.values():
        value = _value(method, parameter, datum)
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            named[parameter.name] = value
        else:
            positional.append(value)
    returned = call(*positional, **named)
    if method.startswith("bind_"):
        returned(1.0)
    else:
        _use(returned, datum)


def _use(returned: Any, datum: str) -> None:
    if isinstance(returned, RpcMethod):
        returned.received(1)
        returned.sent(1)
        returned = RpcCall(returned)
    if hasattr(returned, "__enter__"):
        if hasattr(returned, "certificate_type"):
            returned.certificate_type = datum
        with suppress(RuntimeError), returned:
            raise RuntimeError(datum)
        with returned:
            if hasattr(returned, "fail"):
                returned.fail(datum)
    if hasattr(returned, "finish"):
        parameters = inspect.signature(returned.finish).parameters.values()
        returned.finish(**{each.name: 500 if "int" in str(each.annotation) else datum for each in parameters})
    if inspect.isfunction(returned):

        def handler() -> None:
            raise RuntimeError(datum)

        with suppress(RuntimeError):
            returned(handler)()


@pytest.mark.parametrize("method", METHODS)
def test_no_method_exports_personal_data(recording: Any, caplog: pytest.LogCaptureFixture, method: str) -> None:
    caplog.set_level("DEBUG")
    # More often than the threshold of an address.
    for datum in PERSONAL.values():
        for _ in range(6):
            push(recording.recorder, method, datum)
    assert traces_in(output(recording)) == []
    assert traces_in(caplog.text) == []


@pytest.mark.parametrize("method", METHODS)
def test_no_event_contains_personal_data(
    record: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    kept = InMemoryLogRecordExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    monkeypatch.setattr(event, "get_logger", provider.get_logger)
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "otlp")
    recorder = record().recorder
    for datum in PERSONAL.values():
        push(recorder, method, datum)
    exported = encode_logs(kept.get_finished_logs()).SerializeToString().decode("latin-1")
    assert traces_in(exported) == []
    # The record of an audit is an event.
    assert (exported != "") >= (method == "record_audit_event")


def test_data_passed_to_one_method_is_not_exported_by_another(recording: Any, caplog: pytest.LogCaptureFixture) -> None:
    """For example, stored callbacks and requests."""
    caplog.set_level("DEBUG")
    for datum in PERSONAL.values():
        # The files do not allow such names.
        for method in set(METHODS) - {"set_slas", "set_kpis", "set_key_policies"}:
            push(recording.recorder, method, datum)
    recording.metrics.record_auth_attempt(method="password", success=False, client_address="203.0.113.7")
    assert traces_in(output(recording)) == []
    assert traces_in(caplog.text) == []


def test_harmless_data_is_exported(record: Callable[..., Any]) -> None:
    """The counterpart of the tests above: harmless data in the same places is found."""
    shown = set()
    for method in METHODS:
        recording = record()
        push(recording.recorder, method, HARMLESS)
        if HARMLESS in output(recording):
            shown.add(method)
    with_open_labels = {
        "bind_database_operation",
        "certificate_operation",
        "declare_connection_pool",
        "document_processing",
        "http_request",
        "http_request_metrics",
        "observe_connection_pools",
        "observe_executors",
        "observe_tokens",
        "record_audit_event",
        "record_auth_attempt",
        "record_authorization",
        "record_compliance_check",
        "record_connection_timeout",
        "record_connection_use",
        "record_connection_wait",
        "record_database_operation",
        "record_database_transaction",
        "record_dependency",
        "record_key_approval",
        "record_mfa_challenge",
        "record_rate_limited",
        "record_security_incident",
        "record_sla_event",
        "record_source",
        "record_threat_match",
        "rpc_method",
        "set_key_policies",
        "set_kpis",
        "set_slas",
        "set_certificate",
        "set_sla_objective",
    }
    assert with_open_labels <= shown


@pytest.mark.parametrize("name", [setting.name for setting in settings.SETTINGS if setting.own])
def test_error_about_a_setting_contains_no_password(name: str) -> None:
    (setting,) = [each for each in settings.SETTINGS if each.name == name]
    for value in ("https://erika:geheimnis@h:99999", "x=ftp://erika:geheimnis@h", "postgresql://erika:geheimnis@h"):
        for problem in settings.check({name: value}, [setting]):
            assert traces_in(str(problem)) == []


class Receiver:
    """Receives OTLP/HTTP exports."""

    def __init__(self) -> None:
        self.bodies: dict[str, list[bytes]] = {"/v1/traces": [], "/v1/metrics": []}
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                bodies[self.path].append(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Do not log requests."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def text(self, path: str) -> str:
        """All received bytes."""
        return b"".join(self.bodies[path]).decode("latin-1")

    def spans(self) -> list[Span]:
        """The spans, decoded."""
        return [
            span
            for body in self.bodies["/v1/traces"]
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> set[str]:
        """The names of the metrics, decoded."""
        return {
            metric.name
            for body in self.bodies["/v1/metrics"]
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


SERVICE = """
import logging, sys, threading, time, urllib.parse, urllib.request

logging.disable(logging.CRITICAL)  # the service's own lines are its own; ours are switched on again below
import grpc, httpx, uvicorn
from concurrent.futures import ThreadPoolExecutor
from fastapi import FastAPI, HTTPException, Request
from sqlalchemy import create_engine, text

PERSONAL = {personal!r}
engine = create_engine("sqlite://")
app = FastAPI()


@app.api_route("/documents/{{document_id:path}}", methods=["GET", "POST"])
def show_document(document_id: str) -> dict[str, str]:
    with engine.connect() as connection:
        connection.execute(text(f"SELECT '{{document_id.replace(chr(39), '').replace(':', '')}}' AS iban"))
        connection.execute(text("SELECT :iban"), {{"iban": document_id}})
    return {{}}


@app.get("/fails/{{name}}")
def fail(name: str) -> None:
    raise ValueError(f"no account of {{name}}")


@app.get("/breaks/{{name}}")
def break_statement(name: str) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT iban FROM persons WHERE name = :name"), {{"name": name}})


def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
    if b"abort" in request:
        context.abort(grpc.StatusCode.NOT_FOUND, f"no account of {{PERSONAL[0]}}")
    return request


class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == "/trust.v1.Documents/Show":
            return grpc.unary_unary_rpc_method_handler(answer)


machines = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()])
machine_port = machines.add_insecure_port("127.0.0.1:0")
machines.start()
server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
thread = threading.Thread(target=server.run, daemon=True)
thread.start()
while not server.started:
    time.sleep(0.01)
port = server.servers[0].sockets[0].getsockname()[1]

unshared = httpx.Limits(max_keepalive_connections=0)  # the server closes a connection after a fault
with httpx.Client(base_url=f"http://127.0.0.1:{{port}}", limits=unshared) as client:
    for datum in PERSONAL:
        quoted = urllib.parse.quote(datum, safe="")
        printable = datum.replace("\\n", " ")
        headers = {{
            "Authorization": f"Bearer {{quoted}}", "X-Api-Key": printable, "User-Agent": printable,
            "Referer": printable,
            "Cookie": f"session={{quoted}}", "X-Forwarded-For": printable, "Forwarded": f'for="{{quoted}}"',
            "Host": urllib.parse.quote(datum.split("@")[0].split(" ")[0].split("/")[0].split(":")[0], safe=""),
            "tracestate": "vendor=" + quoted.replace("%", "x")[:200],
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "baggage": f"user={{quoted}}",
        }}
        for path in ("documents", "fails", "breaks", "nowhere"):
            client.get(f"/{{path}}/{{quoted}}?email={{quoted}}&{{quoted}}=1", headers=headers)
        client.post(f"/documents/1?{{quoted}}", headers=headers, json={{"name": datum}})
        client.request("ERIKA", f"/documents/{{quoted}}", headers=headers)
    with grpc.insecure_channel(f"127.0.0.1:{{machine_port}}") as channel:
        for datum in PERSONAL:
            quoted = urllib.parse.quote(datum, safe="")
            metadata = (("authorization", f"Bearer {{quoted}}"), ("x-name", quoted), ("user-bin", datum.encode()))
            for method, body in (("Show", b"1"), ("Show", b"abort"), (quoted, b"1")):
                try:
                    channel.unary_unary(f"/trust.v1.Documents/{{method}}")(body + datum.encode(), metadata=metadata)
                except grpc.RpcError:
                    pass
with urllib.request.urlopen("http://127.0.0.1:{port}/metrics") as answered:
    sys.stdout.write(answered.read().decode())
server.should_exit = True
thread.join()
machines.stop(None).wait()
logging.disable(logging.NOTSET)
"""


def test_service_under_the_launcher_exports_no_personal_data(launched: Callable[..., Any], receiver: Receiver) -> None:
    """HTTP, gRPC and SQL; spans are those of FastAPI and of the instrumentations of OpenTelemetry."""
    port = free_port()
    ended = launched(
        SERVICE.format(personal=list(PERSONAL.values()), port=port),
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_METRICS_EXPORTER="otlp,prometheus",
        OTEL_EXPORTER_PROMETHEUS_PORT=str(port),
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
    )
    assert ended.returncode == 0, ended.stderr
    spans = receiver.spans()
    names = {span.name for span in spans}
    values = {(each.key, each.value.string_value) for span in spans for each in span.attributes}
    # The expected spans and metrics exist ...
    assert {"GET /documents/{document_id}", "/trust.v1.Documents/Show"} <= names
    assert {("http.route", "/fails/{name}"), ("url.path", "/nowhere/_other")} <= values
    # The package for database spans may not support this version of the SDK.
    assert ("SELECT" in {name.split()[0] for name in names}) == _SPANS_OF_SQLALCHEMY
    events = {
        (each.key, each.value.string_value) for span in spans for event in span.events for each in event.attributes
    }
    assert ("exception.type", "Exception") in events
    assert ("error.type", "ValueError") in values
    assert {"http.server.request.duration", "rpc.server.call.duration", "db.client.operation.duration"} <= (
        receiver.metrics()
    )
    assert 'http_route="/fails/{name}"' in ended.stdout
    # ... without personal data.
    assert traces_in(receiver.text("/v1/traces")) == []
    assert traces_in(receiver.text("/v1/metrics")) == []
    assert traces_in(ended.stdout) == []
    assert traces_in(ended.stderr) == []
    served = [span for span in spans if span.kind == Span.SPAN_KIND_SERVER]
    assert served
    assert not [each for span in served for each in span.attributes if "127.0.0.1" in each.value.string_value]
    assert not [span for span in spans if span.status.message]
