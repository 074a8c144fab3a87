"""Redaction of spans: which values are exported, changed or removed."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from trust_otel.privacy.redaction import RedactingExporter, redacted_name, redacted_path, redacting


class Spans:
    """A tracer, and its spans as exported."""

    def __init__(self) -> None:
        self.memory = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(redacting(lambda: self.memory)()))
        self.tracer = self.provider.get_tracer("test")

    def exported(self, name: str = "name", **arguments: Any) -> Any:
        self.memory.clear()
        self.tracer.start_span(name, **arguments).end()
        (span,) = self.memory.get_finished_spans()
        assert encode_spans([span]).SerializeToString()
        assert span.to_json()
        return span

    def attributes(self, attributes: dict[str, Any], kind: SpanKind = SpanKind.SERVER) -> dict[str, Any]:
        return dict(self.exported(attributes=attributes, kind=kind).attributes)


@pytest.fixture
def spans() -> Iterator[Spans]:
    made = Spans()
    yield made
    made.provider.shutdown()


@pytest.mark.parametrize(
    "name",
    [
        "client.address",
        "client.port",
        "db.connection_string",
        "db.query.parameter.0",
        "db.query.text",
        "db.statement",
        "db.user",
        "enduser.id",
        "error.message",
        "exception.message",
        "exception.stacktrace",
        "http.client_ip",
        "http.host",
        "http.request.header.authorization",
        "http.request.method_original",
        "http.response.header.set_cookie",
        "http.server_name",
        "http.user_agent",
        "mcp.session.id",
        "net.host.name",
        "net.peer.ip",
        "net.sock.peer.addr",
        "network.peer.address",
        "rpc.grpc.request.metadata.x",
        "rpc.user_agent",
        "server.address",
        "session.id",
        "tls.client.subject",
        "url.fragment",
        "url.query",
        "user.email",
        "user_agent.original",
    ],
)
def test_private_attribute_is_removed(spans: Spans, name: str) -> None:
    assert spans.attributes({name: "x", "http.request.method": "GET"}) == {"http.request.method": "GET"}


def test_other_attributes_are_kept(spans: Spans) -> None:
    attributes = {
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT documents",
        "db.system.name": "postgresql",
        "error.type": "sqlalchemy.exc.IntegrityError",
        "http.request.body.size": 1234567890,
        "http.request.method": "GET",
        "http.response.status_code": 500,
        "http.route": "/documents/{document_id}",
        "rpc.method": "trust.v1.TrustService/Validate",
        "user_agent.name": "curl",
    }
    assert spans.attributes(attributes) == attributes


@pytest.mark.parametrize("kind", [SpanKind.CLIENT, SpanKind.PRODUCER])
def test_host_of_an_outgoing_call_is_kept(spans: Spans, kind: SpanKind) -> None:
    attributes = {"network.peer.address": "10.0.0.5", "server.address": "db.example.com", "net.peer.name": "db"}
    assert spans.attributes(attributes, kind) == attributes


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("url.path", "/documents/7", "/documents/7"),
        ("url.path", "/users/erika@example.org/x", "/users/_other/x"),
        ("url.path", "/users/Erika Mustermann", "/users/_other"),
        ("url.path", "/users/Erika%20Mustermann", "/users/_other"),
        ("http.target", "/reset/9f86d081884c7d659a2feaa0c55ad015?token=1", "/reset/_other"),
        ("http.target", "/a?email=erika%40example.org", "/a"),
        (
            "url.full",
            "https://u:p@api.example.com:8443/a/4111111111111111?key=1#x",
            "https://api.example.com:8443/a/_other",
        ),
        ("rpc.method", "trust.v1.Documents/Erika%20Mustermann", "trust.v1.Documents/_other"),
        ("http.url", "http://[bad/erika@example.org", "_other"),
        ("url.full", "erika@example.org", "_other"),
    ],
)
def test_url_and_path(spans: Spans, name: str, value: str, kept: str) -> None:
    assert spans.attributes({name: value}) == {name: kept}


def test_path_is_replaced_by_the_route(spans: Spans) -> None:
    """An identifier in a path may belong to a person, whatever it looks like."""
    kept = spans.attributes(
        {"http.route": "/users/{name}", "url.path": "/users/mustermann", "http.url": "http://h/users/m"}
    )
    assert kept == {"http.route": "/users/{name}", "url.path": "/users/{name}", "http.url": "http://h/users/{name}"}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("diploma of the year", "diploma of the year"),
        ("for erika@example.org", "_other"),
        (["passport", "4111-1111-1111-1111"], ("passport", "_other")),
        ([1, 2], (1, 2)),
        (True, True),
        (2.5, 2.5),
    ],
)
def test_attribute_of_the_service_is_checked_by_pattern(spans: Spans, value: Any, kept: Any) -> None:
    got = spans.attributes({"document.note": value})["document.note"]
    assert (tuple(got) if isinstance(got, list) else got) == kept


def test_nested_attributes() -> None:
    from trust_otel.privacy.redaction import redacted_attributes

    nested: Any = {"outer": {"user.email": "x", "kept": {"note": "erika@example.org"}, "bytes": b"erika"}}
    assert redacted_attributes(nested) == {"outer": {"kept": {"note": "_other"}, "bytes": "_other"}}


def test_exception_keeps_only_its_type(spans: Spans) -> None:
    with pytest.raises(ValueError, match="Erika"), spans.tracer.start_as_current_span("work"):
        raise ValueError("no account of Erika Mustermann")
    (span,) = spans.memory.get_finished_spans()
    (event,) = span.events
    assert event.name == "exception"
    assert event.attributes is not None
    assert event.attributes["exception.type"] == "ValueError"
    assert "Erika" not in span.to_json()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert event.timestamp


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("GET /documents/{document_id}", "GET /documents/{document_id}"),
        ("GET /users/Erika Mustermann", "GET /users/_other"),
        ("GET /users/erika@example.org?x=1", "GET /users/_other"),
        ("GET /documents/{document_id} http send", "GET /documents/{document_id} http send"),
        ("GET /users/Erika Mustermann http receive", "GET /users/_other http receive"),
        ("GET http send", "GET http send"),
        ("/ws/erika@example.org websocket receive", "/ws/_other websocket receive"),
        ("GET https://api.example.com/a", "GET https://api.example.com/a"),
        ("/trust.v1.TrustService/Validate", "/trust.v1.TrustService/Validate"),
        ("SELECT trust", "SELECT trust"),
        ("INSERT INTO orders", "INSERT INTO orders"),
        ("SELECT * FROM users WHERE name = 'Erika'", "SELECT"),
        ("select name from users where name like erika", "select"),
        ("WITH x AS (SELECT 1) SELECT x", "WITH"),
        ("validate the certificate chain of a request", "validate the certificate chain of a request"),
        ("mail to erika@example.org", "mail to _other"),
        ("", ""),
        ("connect", "connect"),
    ],
)
def test_span_name(spans: Spans, name: str, kept: str) -> None:
    assert redacted_name(name) == kept
    assert spans.exported(name).name == kept


@pytest.mark.parametrize(
    "name",
    [
        # FastAPI
        "GET /documents/{document_id}",
        "DELETE /documents/{document_id}",
        "HTTP /stream",
        "WS /ws/{client_id}",
        "fastapi.dependencies",
        "fastapi.endpoint",
        "fastapi.serialization",
        "fastapi.background_task",
        "BackgroundTask <lambda>",
        # ASGI
        "GET /documents/{document_id} http send",
        "DELETE /documents/{document_id:uuid} http receive",
        "GET /files/{file_path:path}/versions/{version} http send",
        "HTTP /stream http receive",
        "DELETE http send",
        "OPTIONS * http send",
        "/ws/{client_id} websocket receive",
        # gRPC
        "/trust.v1.TrustService/Validate",
        "grpc.health.v1.Health/Check",
        # SQLAlchemy
        "connect",
        "SELECT",
        "select trust",
        "INSERT /var/lib/trust.db",
        "with trust",
        # HTTP clients and servers, queues, caches
        "GET",
        "HTTP GET",
        "GET /users/<int:user_id>",
        "GET /a/{tail:.+}",
        "MainHandler.get",
        "run/app.tasks.sign_document",
        "documents.created publish",
        "S3.PutObject",
        "SET",
    ],
)
def test_span_names_of_instrumentations_are_kept(spans: Spans, name: str) -> None:
    assert spans.exported(name).name == name


@pytest.mark.parametrize(
    ("name", "route", "kept"),
    [
        ("GET ^articles/(?P<year>[0-9]{4})/$", "^articles/(?P<year>[0-9]{4})/$", "GET ^articles/(?P<year>[0-9]{4})/$"),
        ("GET /users/{id}", "/users/{id}", "GET /users/{id}"),
        ("GET /users/{id} http send", "/users/{id}", "GET /users/{id} http send"),
        ("/users/{id} erika@example.com", "/users/{id}", "/users/{id} _other"),
        ("GET /users/12345678901", "/users/{id}", "GET /users/_other"),
        ("GET /u/12345678901", "/u/12345678901", "GET /u/_other"),
        ("GET /u/12345678901", "", "GET /u/_other"),
    ],
)
def test_route_in_a_span_name_is_kept(spans: Spans, name: str, route: str, kept: str) -> None:
    assert spans.exported(name, attributes={"http.route": route}).name == kept


async def test_span_names_of_asgi_messages_are_kept(spans: Spans) -> None:
    app = FastAPI()

    @app.get("/documents")
    async def documents() -> None:
        pass

    FastAPIInstrumentor.instrument_app(app, tracer_provider=spans.provider)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        await client.get("/documents")
    names = {span.name for span in spans.memory.get_finished_spans()}
    assert names == {"GET /documents", "GET /documents http send"}


def test_path_segments_are_checked_separately() -> None:
    assert redacted_path("/a//b/") == "/a//b/"
    assert redacted_path("/203.0.113.7/v1.2.3/1.2.840.113549.1.1.11") == "/_other/v1.2.3/1.2.840.113549.1.1.11"


def _caller(state: list[tuple[str, str]]) -> SpanContext:
    return SpanContext(1, 2, True, TraceFlags(TraceFlags.SAMPLED), TraceState(state))


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ([("vendor", "erika@example.org")], {}),
        ([("ot", "th:8;rv:6e6d1a75832a2f"), ("vendor", "x")], {"ot": "th:8;rv:6e6d1a75832a2f"}),
        ([("ot", "th:8;x:erika")], {}),
        ([], {}),
    ],
)
def test_tracestate_of_the_caller_is_removed(spans: Spans, state: list[tuple[str, str]], kept: dict[str, str]) -> None:
    parent = _caller(state)
    span = spans.exported(context=set_span_in_context(NonRecordingSpan(parent)), links=[Link(parent, {"user.id": "1"})])
    assert dict(span.context.trace_state) == kept
    assert span.context.trace_id == 1
    assert span.parent.span_id == 2
    (link,) = span.links
    assert dict(link.context.trace_state) == kept
    assert dict(link.attributes) == {}


def test_other_parts_of_a_span_are_kept(spans: Spans) -> None:
    with spans.tracer.start_as_current_span("name", kind=SpanKind.CONSUMER, attributes={"user.id": "1"}) as span:
        span.set_attributes({str(number): number for number in range(200)})
        span.set_status(Status(StatusCode.OK))
        span.add_event("said", {"user.id": "1"}, timestamp=5)
    assert isinstance(span, ReadableSpan)
    assert span.attributes is not None
    (exported,) = spans.memory.get_finished_spans()
    assert exported.kind is SpanKind.CONSUMER
    assert exported.dropped_attributes == span.dropped_attributes > 0
    assert (exported.dropped_events, exported.dropped_links) == (0, 0)
    assert (exported.start_time, exported.end_time) == (span.start_time, span.end_time)
    assert exported.resource is span.resource
    assert exported.instrumentation_scope is span.instrumentation_scope
    assert exported.status.status_code is StatusCode.OK
    assert (exported.events[0].name, exported.events[0].timestamp) == ("said", 5)
    assert span.attributes["199"] == 199


def test_span_that_cannot_be_redacted_is_dropped_and_not_quoted(spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
    class Odd:
        def __getattr__(self, name: str) -> Any:
            raise LookupError("erika@example.org")

    exporter = RedactingExporter(spans.memory)
    good = spans.exported("good")
    spans.memory.clear()
    for _ in range(2):
        assert exporter.export([Odd(), good]) is SpanExportResult.SUCCESS  # type: ignore[list-item]
    assert [span.name for span in spans.memory.get_finished_spans()] == ["good", "good"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "erika" not in caplog.text


def test_result_flush_and_shutdown_are_delegated() -> None:
    class Failing(SpanExporter):
        down = False

        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.FAILURE

        def shutdown(self) -> None:
            self.down = True

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return timeout_millis == 7

    inner = Failing()
    exporter = RedactingExporter(inner)
    assert exporter.export([]) is SpanExportResult.FAILURE
    assert exporter.force_flush(7)
    exporter.shutdown()
    assert inner.down
