"""Removes personal data and secrets from spans before they are exported.

Instrumentations put statements, addresses, query strings and exception messages into spans. Exported are methods,
routes, status codes, operations, hosts that the service calls, and exception types.
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

from trust_otel.privacy.pii import contains_private, looks_private
from trust_otel.semconv.attributes import DB_OPERATION_NAME

_logger = logging.getLogger(__name__)

_OTHER: Final = "_other"

# Names from the OpenTelemetry semantic conventions, including deprecated ones.
_REMOVED: Final = frozenset(
    (
        "db.connection_string",
        "db.user",
        "faas.document.name",
        "graphql.document",
        "http.client_ip",
        "http.host",  # sent by the client
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
_REMOVED_PREFIXES: Final = (
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
_REMOVED_SUFFIXES: Final = ("message", "stacktrace", "session.id", "query.text", "statement")
"""Suffixes of attributes with free text."""

_PEER_PREFIXES: Final = ("net.host.name", "net.peer.", "net.sock.peer.", "network.peer.", "server.address")
"""In server spans: the client address, and the `Host` header sent by the client."""
_OUTGOING: Final = (SpanKind.CLIENT, SpanKind.PRODUCER)
_PATHS: Final = ("http.target", "url.path")
_URLS: Final = ("http.url", "url.full")
_METHODS: Final = ("rpc.method", "rpc.service")

_SAMPLING_STATE: Final = re.compile(r"(?:(?:th|rv):[0-9a-f]{1,14};?)+")
_KEYWORDS: Final = frozenset((*DB_OPERATION_NAME.members, "WITH", "VALUES", "REPLACE", "EXECUTE", "GRANT", "REVOKE"))
_SUMMARY: Final = re.compile(r"[\w.-]+(?: [\w./-]+){0,3}")
_BLANK: Final = re.compile(r"\s")
_SEGMENT: Final = re.compile(r"[^/]+")
# Suffixes that the ASGI instrumentation appends to the name of the request span.
_ASGI_MESSAGE: Final = re.compile(r" (?:http|websocket) (?:receive|send)$")


class RedactingExporter(SpanExporter):
    """Exports redacted spans with another exporter.

    Args:
        exporter: The exporter of the redacted spans.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._failed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export the redacted spans. A span that cannot be redacted is dropped."""
        return self._exporter.export([redacted for span in spans if (redacted := self._redacted(span)) is not None])

    def shutdown(self) -> None:
        """Shut down the exporter."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter."""
        return self._exporter.force_flush(timeout_millis)

    def _redacted(self, span: ReadableSpan) -> ReadableSpan | None:
        try:
            return RedactedSpan(span)
        except Exception as error:
            if not self._failed:
                # Only the type: the message may contain private data.
                _logger.error("trust-otel: spans that cannot be redacted are dropped (%s)", type(error).__qualname__)
            self._failed = True
            return None


def redacting(exporter: Callable[[], SpanExporter]) -> Callable[[], SpanExporter]:
    """A factory of redacting exporters."""
    return lambda: RedactingExporter(exporter())


class RedactedSpan(ReadableSpan):
    """A span without private data."""

    def __init__(self, span: ReadableSpan) -> None:
        outgoing = span.kind in _OUTGOING
        super().__init__(
            name=_span_name(span.name, (span.attributes or {}).get("http.route")),
            context=_context(span.context),
            parent=span.parent,
            resource=span.resource,
            attributes=redacted_attributes(span.attributes or {}, outgoing=outgoing),
            events=[
                Event(redacted_name(event.name), redacted_attributes(event.attributes or {}), event.timestamp)
                for event in span.events
            ],
            links=[_link(link) for link in span.links],
            kind=span.kind,
            # Without the description, which is an exception message.
            status=Status(span.status.status_code),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )
        self._original = span

    @property
    def dropped_attributes(self) -> int:
        """Number of attributes dropped by the SDK limits."""
        return self._original.dropped_attributes

    @property
    def dropped_events(self) -> int:
        """Number of events dropped by the SDK limits."""
        return self._original.dropped_events

    @property
    def dropped_links(self) -> int:
        """Number of links dropped by the SDK limits."""
        return self._original.dropped_links


def _link(link: Link) -> Link:
    context = _context(link.context)
    return Link(context or link.context, redacted_attributes(link.attributes or {}))


def _context(context: SpanContext | None) -> SpanContext | None:
    """The context without the caller's `tracestate`, except the sampling state of OpenTelemetry (`ot`)."""
    if context is None or not context.trace_state:
        return context
    sampling = context.trace_state.get("ot")
    kept = TraceState([("ot", sampling)] if sampling and _SAMPLING_STATE.fullmatch(sampling) else None)
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags, kept)


def redacted_attributes(attributes: Mapping[str, AttributeValue], *, outgoing: bool = False) -> Attributes:
    """The redacted attributes of a span, an event or a link.

    Args:
        attributes: All attributes.
        outgoing: Whether the span is an outgoing call, so that the peer is a server and not a client.
    """
    route = attributes.get("http.route")
    kept: dict[str, AttributeValue] = {}
    for name, value in attributes.items():
        if not _is_removed(name, outgoing=outgoing):
            kept[name] = _redacted(name, value, route)
    return kept


def _is_removed(name: str, *, outgoing: bool) -> bool:
    if name in _REMOVED or name.startswith(_REMOVED_PREFIXES) or name.endswith(_REMOVED_SUFFIXES):
        return True
    return not outgoing and name.startswith(_PEER_PREFIXES)


def _redacted(name: str, value: AttributeValue, route: AttributeValue | None) -> Any:
    if name in _PATHS:
        return route if isinstance(route, str) else redacted_path(str(value))
    if name in _URLS:
        return _redacted_url(str(value), route)
    return redacted_path(str(value)) if name in _METHODS else _without_private(value)


def _without_private(value: Any) -> Any:
    if isinstance(value, str):
        return _OTHER if contains_private(value) else value
    if isinstance(value, Mapping):
        return redacted_attributes(value)
    if isinstance(value, bytes):
        return _OTHER  # may contain anything
    return [_without_private(one) for one in value] if isinstance(value, Sequence) else value


def _redacted_url(url: str, route: AttributeValue | None) -> str:
    """Scheme, host and path of a URL, or `_other` if it is invalid."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return _OTHER
    path = route if isinstance(route, str) else redacted_path(parts.path)
    return f"{parts.scheme}://{host}{path}" if host else path


def redacted_path(path: str) -> str:
    """A path without query, with `_other` for each segment that looks private."""
    return _SEGMENT.sub(_segment, _BLANK.sub("%20", path.partition("?")[0].partition("#")[0]))


def _span_name(name: str, route: AttributeValue | None) -> str:
    """The redacted name, in which the route stays: it may be a regular expression, as in Django."""
    if not isinstance(route, str) or not route or contains_private(route):
        return redacted_name(name)
    before, found, after = name.partition(route)
    return _redacted_words(before) + found + _redacted_words(after) if found else redacted_name(name)


def redacted_name(name: str) -> str:
    """The redacted name of a span or event. Statements are cut to their first word."""
    if message := _ASGI_MESSAGE.search(name):
        return _redacted_name(name[: message.start()]) + message.group()
    return _redacted_name(name)


def _redacted_name(name: str) -> str:
    first, _, rest = name.partition(" ")
    if rest.startswith("/") or "://" in rest:
        return f"{redacted_path(first)} {redacted_path(rest)}"
    if first.upper() in _KEYWORDS and not _SUMMARY.fullmatch(name):
        return first
    return _redacted_words(name)


def _redacted_words(text: str) -> str:
    return " ".join(redacted_path(word) for word in text.split(" "))


def _segment(match: re.Match[str]) -> str:
    segment = match.group()
    return _OTHER if looks_private(segment) else segment
