"""Takes out of spans, before they leave the process, what says something about a person or holds a secret.

Instrumentations put statements, addresses, query strings and the messages of exceptions into spans. What remains tells
where time went and what failed: methods, routes, status codes, operations, hosts that the service itself calls, and
classes of exceptions.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, Status
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes, AttributeValue

from trust_otel.privacy.pii import holds_private, looks_private
from trust_otel.semconv.attributes import DB_OPERATION_NAME

_logger = logging.getLogger(__name__)

_OTHER: Final = "_other"

# Names of OpenTelemetry's conventions, those that it has replaced included.
_LEFT_OUT: Final = frozenset(
    (
        "db.connection_string",
        "db.user",
        "faas.document.name",
        "graphql.document",
        "http.client_ip",
        "http.host",  # what the client wrote into its header
        "http.request.method_original",
        "http.server_name",
        "http.user_agent",
        "log.record.original",
        "messaging.kafka.message.key",
        "messaging.message.conversation_id",
        "process.command_args",
        "process.command_line",
        "rpc.user_agent",
        "url.fragment",
        "url.original",
        "url.query",
        "user_agent.original",
    )
)
_FAMILIES_LEFT_OUT: Final = (
    "client.",
    "db.operation.parameter.",
    "db.query.parameter.",
    "enduser.",
    "feature_flag.context.",
    "gen_ai.input.",
    "gen_ai.output.",
    "geo.locality.",
    "geo.location.",
    "geo.postal_code",
    "http.request.header.",
    "http.response.header.",
    "rpc.connect_rpc.request.metadata.",
    "rpc.connect_rpc.response.metadata.",
    "rpc.grpc.request.metadata.",
    "rpc.grpc.response.metadata.",
    "rpc.request.metadata.",
    "rpc.response.metadata.",
    "session.",
    "source.",
    "tls.client.",
    "user.",
)
_TEXTS_LEFT_OUT: Final = ("message", "stacktrace", "session.id", "query.text", "statement")
"""Ends of names under which any family keeps what people or programs wrote."""

_OF_CALLERS: Final = ("net.host.name", "net.peer.", "net.sock.peer.", "network.peer.", "server.address")
"""On a request that the service answers: the client, and what it wrote into its `Host` header."""
_CALLS: Final = (SpanKind.CLIENT, SpanKind.PRODUCER)
_PATHS: Final = ("http.target", "url.path")
_LOCATIONS: Final = ("http.url", "url.full")
_METHODS: Final = ("rpc.method", "rpc.service")

_SHARED_STATE: Final = re.compile(r"(?:(?:th|rv):[0-9a-f]{1,14};?)+")
_KEYWORDS: Final = frozenset((*DB_OPERATION_NAME.members, "WITH", "VALUES", "REPLACE", "EXECUTE", "GRANT", "REVOKE"))
_SUMMARY: Final = re.compile(r"[\w.-]+(?: [\w./-]+){0,3}")
_BLANK: Final = re.compile(r"\s")
_SEGMENT: Final = re.compile(r"[^/]+")
# The ASGI instrumentation appends these words to the name of the request's span.
_ASGI_MESSAGE: Final = re.compile(r" (?:http|websocket) (?:receive|send)$")


class RedactingExporter(SpanExporter):
    """Hands spans on to another exporter without what is private in them.

    Args:
        exporter: Where the spans go.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._failed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export what remains of the spans. One that cannot be redacted stays in the process."""
        return self._exporter.export([left for span in spans if (left := self._redacted(span)) is not None])

    def shutdown(self) -> None:
        """Shut the other exporter down."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the other exporter."""
        return self._exporter.force_flush(timeout_millis)

    def _redacted(self, span: ReadableSpan) -> ReadableSpan | None:
        try:
            return RedactedSpan(span)
        except Exception as error:
            if not self._failed:
                # Its message may hold what was to be left out.
                _logger.error("trust-otel: spans are dropped that cannot be redacted (%s)", type(error).__qualname__)
            self._failed = True
            return None


def redacting(exporter: Callable[[], SpanExporter]) -> Callable[[], SpanExporter]:
    """What makes the exporter, made to redact."""
    return lambda: RedactingExporter(exporter())


class RedactedSpan(ReadableSpan):
    """What remains of a span."""

    def __init__(self, span: ReadableSpan) -> None:
        calls = span.kind in _CALLS
        super().__init__(
            name=redacted_name(span.name),
            context=_context(span.context),
            parent=span.parent,
            resource=span.resource,
            attributes=redacted_attributes(span.attributes or {}, calls=calls),
            events=[
                Event(redacted_name(event.name), redacted_attributes(event.attributes or {}), event.timestamp)
                for event in span.events
            ],
            links=[_link(link) for link in span.links],
            kind=span.kind,
            # The description is the message of an exception.
            status=Status(span.status.status_code),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )
        self._whole = span

    @property
    def dropped_attributes(self) -> int:
        """How many attributes the limits of the SDK cost."""
        return self._whole.dropped_attributes

    @property
    def dropped_events(self) -> int:
        """How many events the limits of the SDK cost."""
        return self._whole.dropped_events

    @property
    def dropped_links(self) -> int:
        """How many links the limits of the SDK cost."""
        return self._whole.dropped_links


def _link(link: Link) -> Link:
    context = _context(link.context)
    return Link(context or link.context, redacted_attributes(link.attributes or {}))


def _context(context: SpanContext | None) -> SpanContext | None:
    """The context without what callers wrote into `tracestate`, but for OpenTelemetry's own sampling."""
    if context is None or not context.trace_state:
        return context
    shared = context.trace_state.get("ot")
    kept = TraceState([("ot", shared)] if shared and _SHARED_STATE.fullmatch(shared) else None)
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags, kept)


def redacted_attributes(attributes: Mapping[str, AttributeValue], *, calls: bool = False) -> Attributes:
    """The attributes that remain of a span, an event or a link.

    Args:
        attributes: All of them.
        calls: Whether the service itself made the call, so that its peer is a host and no client.
    """
    route = attributes.get("http.route")
    kept: dict[str, AttributeValue] = {}
    for name, value in attributes.items():
        if not _is_left_out(name, calls=calls):
            kept[name] = _redacted(name, value, route)
    return kept


def _is_left_out(name: str, *, calls: bool) -> bool:
    if name in _LEFT_OUT or name.startswith(_FAMILIES_LEFT_OUT) or name.endswith(_TEXTS_LEFT_OUT):
        return True
    return not calls and name.startswith(_OF_CALLERS)


def _redacted(name: str, value: AttributeValue, route: AttributeValue | None) -> Any:
    if name in _PATHS:
        return route if isinstance(route, str) else redacted_path(str(value))
    if name in _LOCATIONS:
        return _location(str(value), route)
    return redacted_path(str(value)) if name in _METHODS else _without_private(value)


def _without_private(value: Any) -> Any:
    if isinstance(value, str):
        return _OTHER if holds_private(value) else value
    if isinstance(value, Mapping):
        return redacted_attributes(value)
    if isinstance(value, bytes):
        return _OTHER  # nobody can tell what is in it
    return [_without_private(one) for one in value] if isinstance(value, Sequence) else value


def _location(url: str, route: AttributeValue | None) -> str:
    """Scheme, host and path of a URL; without its path where it cannot be read."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return _OTHER
    path = route if isinstance(route, str) else redacted_path(parts.path)
    return f"{parts.scheme}://{host}{path}" if host else path


def redacted_path(path: str) -> str:
    """A path with `_other` for each segment that looks private, and without its query."""
    return _SEGMENT.sub(_segment, _BLANK.sub("%20", path.partition("?")[0].partition("#")[0]))


def redacted_name(name: str) -> str:
    """The name of a span or event: method and path, operation and database; of a statement only its first word."""
    if message := _ASGI_MESSAGE.search(name):
        return _redacted_name(name[: message.start()]) + message.group()
    return _redacted_name(name)


def _redacted_name(name: str) -> str:
    first, _, rest = name.partition(" ")
    if rest.startswith("/") or "://" in rest:
        return f"{redacted_path(first)} {redacted_path(rest)}"
    if first.upper() in _KEYWORDS and not _SUMMARY.fullmatch(name):
        return first
    return " ".join(redacted_path(word) for word in name.split(" "))


def _segment(match: re.Match[str]) -> str:
    segment = match.group()
    return _OTHER if looks_private(segment) else segment
