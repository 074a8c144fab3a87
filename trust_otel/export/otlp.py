"""Checks whether an OTLP endpoint accepted an export; if not, logs the cause and a remedy.

The exporters of the SDK (1.45.1, 1.45.2) count a redirect, an HTML page of a proxy and rejected data points as success,
log each attempt, and log exceptions whose texts contain the URL with its credentials. Their private parts are used in
this module only; an exporter that does not have them is left unchanged.

Source: OpenTelemetry Protocol specification, "OTLP/HTTP Response", "OTLP/gRPC Response" and "Partial Success".
"""

from __future__ import annotations

import json
import logging
import re
import ssl
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial, wraps
from http import HTTPStatus
from http.client import BadStatusLine, RemoteDisconnected
from socket import gaierror
from time import monotonic, monotonic_ns, time_ns
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from opentelemetry.util._importlib_metadata import entry_points

from trust_otel import settings
from trust_otel.export.clock import nanoseconds_set
from trust_otel.export.export_state import ExportState, QueueFullFilter
from trust_otel.export.rejections import count_rejected

_Exporter = TypeVar("_Exporter")

SIGNALS: Final = ("metrics", "traces", "logs")
EXPORTERS: Final = ("otlp", "otlp_proto_http", "otlp_proto_grpc")

_SHOWN: Final = 200
_LONGEST_RESPONSE: Final = 65_536
_HARMLESS_HEADERS: Final = frozenset(("content-encoding", "content-type", "user-agent"))
_SEPARATORS: Final = re.compile(r"[\s:&=,;]+")
_SHORTEST_SECRET: Final = 4

_BY_STATUS: Final = {
    401: "check OTEL_EXPORTER_OTLP_HEADERS",
    403: "check OTEL_EXPORTER_OTLP_HEADERS",
    404: "check the path: /v1/metrics, /v1/traces or /v1/logs is appended to OTEL_EXPORTER_OTLP_ENDPOINT, but not to "
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT; a Collector without a pipeline for the signal also answers 404",
    405: "check the path of OTEL_EXPORTER_OTLP_ENDPOINT",
    407: "check the credentials in HTTPS_PROXY or HTTP_PROXY",
    413: "raise the limit of the endpoint, or export more often (OTEL_METRIC_EXPORT_INTERVAL)",
    415: "the endpoint speaks another protocol: check OTEL_EXPORTER_OTLP_PROTOCOL and the port",
}
_GRPC_PORT: Final = (
    "the endpoint does not speak HTTP/1.1: for gRPC, set OTEL_EXPORTER_OTLP_PROTOCOL=grpc; for TLS, use https://"
)
_BY_ERROR: Final = (
    ((gaierror,), "the name of the host cannot be resolved"),
    ((ConnectionRefusedError,), "the connection is refused: nothing listens there"),
    ((TimeoutError,), "no response in time"),
    ((RemoteDisconnected, BadStatusLine), _GRPC_PORT),
    ((ConnectionError,), "the connection was closed: check that OTEL_EXPORTER_OTLP_PROTOCOL matches the port"),
    ((UnicodeError,), "a header cannot be sent: check OTEL_EXPORTER_OTLP_HEADERS"),
)
_BY_NAME: Final = {
    "ConnectTimeout": "no response in time",
    "ConnectTimeoutError": "no response in time",
    "ReadTimeout": "no response in time",
    "ReadTimeoutError": "no response in time",
    "NameResolutionError": "the name of the host cannot be resolved",
    "InvalidHeader": "a header cannot be sent: check OTEL_EXPORTER_OTLP_HEADERS",
    "InvalidURL": "the address cannot be used: check OTEL_EXPORTER_OTLP_ENDPOINT",
    "InvalidSchema": "the address cannot be used: check OTEL_EXPORTER_OTLP_ENDPOINT",
    "ProxyError": "the proxy of HTTPS_PROXY or HTTP_PROXY cannot be reached, or refuses the connection",
}
_CERTIFICATE_EXPIRED: Final = "TLS: the certificate of the endpoint has expired"
_CERTIFICATE_NOT_YET_VALID: Final = "TLS: the certificate of the endpoint is not valid yet: check the clock"
_CERTIFICATE_NOT_TRUSTED: Final = (
    "TLS: the certificate of the endpoint is not trusted: set OTEL_EXPORTER_OTLP_CERTIFICATE to its authority's"
)
_CERTIFICATE_OF_ANOTHER_HOST: Final = (
    "TLS: the certificate was issued for another host: check the host in OTEL_EXPORTER_OTLP_ENDPOINT"
)
_BY_VERIFY_CODE: Final = {
    9: _CERTIFICATE_NOT_YET_VALID,
    10: _CERTIFICATE_EXPIRED,
    62: _CERTIFICATE_OF_ANOTHER_HOST,
    64: _CERTIFICATE_OF_ANOTHER_HOST,
}
"""OpenSSL's codes of a certificate that is not yet valid, has expired, or is not for this host name or address."""

# gRPC's texts for UNAVAILABLE; the first match applies.
_BY_GRPC_TEXT: Final = (
    ("Failed parsing HTTP/2", "the endpoint does not speak gRPC: check OTEL_EXPORTER_OTLP_PROTOCOL and the port"),
    ("Invalid metadata", "a header cannot be sent: check OTEL_EXPORTER_OTLP_HEADERS"),
    ("http1.x server", "the endpoint speaks HTTP/1.1: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"),
    ("DNS", "the name of the host cannot be resolved"),
    ("resolv", "the name of the host cannot be resolved"),
    ("certificate has expired", _CERTIFICATE_EXPIRED),
    ("certificate is not yet valid", _CERTIFICATE_NOT_YET_VALID),
    ("CERTIFICATE_VERIFY_FAILED", _CERTIFICATE_NOT_TRUSTED),
    ("Hostname Verification", _CERTIFICATE_OF_ANOTHER_HOST),
    ("WRONG_VERSION_NUMBER", "the endpoint does not speak TLS: use http://"),
    ("handshake", "TLS: the handshake failed"),
    ("refused", "the connection is refused: nothing listens there"),
    ("Trying to connect", "the endpoint does not speak gRPC: check the port and OTEL_EXPORTER_OTLP_PROTOCOL"),
    (
        "Socket closed",
        "the connection was closed: check that OTEL_EXPORTER_OTLP_PROTOCOL matches the port, and use https:// if it "
        "expects TLS",
    ),
)
_BY_CODE: Final = {
    "UNAUTHENTICATED": "check OTEL_EXPORTER_OTLP_HEADERS",
    "PERMISSION_DENIED": "check OTEL_EXPORTER_OTLP_HEADERS",
    "UNIMPLEMENTED": "the endpoint does not accept this signal: check OTEL_EXPORTER_OTLP_PROTOCOL, the port, and that "
    "the Collector has a pipeline for it",
    "DEADLINE_EXCEEDED": "no response in time",
    "RESOURCE_EXHAUSTED": "the endpoint is overloaded, or the export is larger than its limit",
}


_SIGNAL_NAMES: Final = {"metrics": "metrics", "spans": "spans", "traces": "spans", "logs": "log records"}

_LOGGERS: Final = (
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "urllib3.connectionpool",
    "urllib3.util.retry",
)
"""Loggers of the exporters, which log each attempt, and of the HTTP library, which logs path and query of the URL."""


class ExportError(Exception):
    """The endpoint did not accept an export; the message contains no value of a setting."""


class _Result(Protocol):
    """The `BaseHTTPResult` of the SDK."""

    @property
    def status_code(self) -> int | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def error(self) -> Exception | None: ...
    def headers(self) -> Mapping[str, str]: ...
    def content(self) -> bytes: ...


@dataclass(frozen=True)
class _Failure:
    """A result without an OTLP response."""

    error: ExportError
    status_code: int | None = None
    reason: str | None = None

    def headers(self) -> Mapping[str, str]:
        return {}

    def content(self) -> bytes:
        return b""


class _ConnectionFailedError(ExportError):
    """The endpoint cannot be reached; a retry may succeed."""


def with_checked_responses(exporter: _Exporter) -> _Exporter:
    """The same exporter; an OTLP exporter of the SDK then checks every response, and logs only changes of its state."""
    made: Any = exporter
    client: Any = getattr(made, "_client", None)
    if _has(client, "_transport", "_kind", "_shutdown_event", "_headers", "_endpoint", "_timeout"):
        secrets = _secrets(client._headers.items(), client._endpoint)
        state = ExportState(_SIGNAL_NAMES[client._kind], client._shutdown_event.is_set)
        responses = _Responses(state, secrets, client._timeout)
        client._transport = _CheckedTransport(client._transport, responses)
    elif _has(made, "_initialize_channel_and_stub", "_signal", "_shutdown_in_progress", "_headers", "_timeout"):
        state = ExportState(_SIGNAL_NAMES[made._signal], made._shutdown_in_progress.is_set)
        responses = _Responses(state, _secrets(made._headers, ""), made._timeout)
        _check_grpc(made, responses)
    else:
        return exporter
    _drop_logs_while_exporting()
    made.export = _reporting(made.export, responses)
    return exporter


def _has(component: object, *parts: str) -> bool:
    return all(hasattr(component, part) for part in parts)


class _Responses:
    """What the responses to one export mean.

    Args:
        state: Gets the outcome of each export.
        secrets: Texts that must not be logged when the endpoint quotes them.
        timeout: Seconds of an export with all its attempts.
    """

    def __init__(self, state: ExportState, secrets: Collection[str], timeout: float) -> None:
        self.state = state
        self.timeout = timeout
        self._secrets = secrets
        self._begun = time_ns(), monotonic_ns()
        self._problem: str | None = None
        self._rejected: str | None = None

    def begin(self) -> None:
        """Forget the previous export."""
        self._problem = self._rejected = None
        self._begun = time_ns(), monotonic_ns()

    @property
    def clock_set(self) -> bool:
        """Whether the clock was set since the export began: the SDK would compute a wrong deadline for a retry."""
        return nanoseconds_set(*self._begun) != 0

    def refused(self, why: str) -> None:
        """Note why an attempt was not accepted."""
        self._problem = why

    def rejected(self, number: int, message: str) -> None:
        """Note what an export did not store, and count it."""
        count_rejected(number)
        if number or message:
            why = _endpoint_text(message, self._secrets) or "no reason given"
            self._rejected = f"the OTLP endpoint rejected {number} data points, spans or log records: {why}"

    def explained(self, code: str, text: str) -> str:
        """Why a call of gRPC failed."""
        explained = next((reason for part, reason in _BY_GRPC_TEXT if part in text), None)
        return explained or f"{code}: {_BY_CODE.get(code) or _endpoint_text(text, self._secrets) or 'no reason given'}"

    def end(self, accepted: bool) -> None:
        """Report the export; one without an attempt, after the shutdown of the exporter, has no outcome."""
        if accepted and self._rejected is None:
            self.state.accepted()
        elif accepted and self._rejected is not None:
            self.state.failed(self._rejected, in_part=True)
        elif self._problem is not None:
            self.state.failed(self._problem)


def _reporting(export: Callable[..., Any], responses: _Responses) -> Callable[..., Any]:
    @wraps(export)
    def export_and_report(*args: Any, **kwargs: Any) -> Any:
        responses.begin()
        with _logs_dropped():
            result = export(*args, **kwargs)
        responses.end(result.name == "SUCCESS")
        return result

    return export_and_report


def checking_responses(make: Callable[..., _Exporter]) -> Callable[..., _Exporter]:
    """Wrap a factory of exporters, so that they check every response."""
    return lambda *args, **kwargs: with_checked_responses(make(*args, **kwargs))


def check_responses_of(provider: object) -> None:
    """Make every OTLP exporter of an SDK provider check its responses."""
    for component in list(components_of(provider)):
        if type(component).__module__.startswith("opentelemetry.exporter.otlp."):
            with_checked_responses(component)


def components_of(provider: object) -> Iterator[Any]:
    """An SDK provider and all its components: processors, readers, exporters and their parts."""
    seen: set[int] = set()
    pending: list[Any] = [provider]
    while pending:
        each = pending.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, (list, tuple)):
            pending += each
        elif isinstance(each, dict):
            pending += each.values()
        elif type(each).__module__.startswith(("opentelemetry.", "trust_otel.")):
            yield each
            pending += getattr(each, "__dict__", {}).values()


def reconnect(component: Any) -> None:
    """Give a part of an OTLP exporter in a forked process connections of its own; leave every other part unchanged.

    On a connection that both processes use, their requests would mix. Forgetting it closes it here, not in the parent.
    """
    if isinstance(component, ExportState):
        component.restart()
    elif type(component).__module__.startswith("opentelemetry.exporter.http.transport."):
        session, pool = getattr(component, "_session", None), getattr(component, "_pool", None)
        for adapter in session.adapters.values() if session is not None else ():
            # As after copying or unpickling: with the same options, but without connections.
            adapter.__setstate__(adapter.__getstate__())
        if pool is not None:
            component._pool = type(pool)(headers=pool.headers, **pool.connection_pool_kw)
    elif hasattr(component, "_initialize_channel_and_stub"):
        # Not closed: the gRPC library may hang when a forked process closes what its parent opened.
        _inherited.append(component._channel)
        component._initialize_channel_and_stub()


_inherited: list[Any] = []


def exporter_class(signal: str, exporter: str) -> Any:
    """The class of an exporter.

    Args:
        signal: `metrics`, `traces` or `logs`.
        exporter: Name of the exporter; for `otlp`, the protocol setting of the signal decides.
    """
    if exporter == "otlp":
        grpc = settings.current().otlp_protocol_of(signal) == "grpc"
        exporter = "otlp_proto_grpc" if grpc else "otlp_proto_http"
    return next(iter(entry_points(group=f"opentelemetry_{signal}_exporter", name=exporter))).load()


def send_empty_export(signal: str, exporter: str, seconds: float) -> str | None:
    """Send one export request without data; returns why it was not accepted, or `None`.

    Args:
        signal: `metrics`, `traces` or `logs`.
        exporter: One of `EXPORTERS`.
        seconds: Timeout.
    """
    made = with_checked_responses(exporter_class(signal, exporter)())
    try:
        if hasattr(made._client, "_transport"):
            return _http_problem(made._client, seconds)
        from opentelemetry.sdk.metrics.export import MetricsData

        request = made._translate_data(MetricsData([]) if signal == "metrics" else [])
        made._client.Export(request=request, metadata=made._headers, timeout=seconds)
    except Exception as error:
        details = getattr(error, "details", None)
        return str(details()) if callable(details) else reason(error)
    finally:
        made.shutdown()
    return None


def _http_problem(client: Any, seconds: float) -> str | None:
    result: _Result = client._transport.request(
        "POST", client._endpoint, headers=client._headers, data=client._compress(b""), timeout=seconds
    )
    if result.error is not None:
        return str(result.error)
    if result.status_code is not None and result.status_code >= 400:
        return f"the endpoint answers {result.status_code} {result.reason}"
    return None


class _CheckedTransport:
    """Sends over another transport; a response that is not a success of OTLP becomes an error.

    Args:
        transport: A `BaseHTTPTransport` of the SDK.
        responses: Gets what each response means.
    """

    def __init__(self, transport: Any, responses: _Responses) -> None:
        self._transport = transport
        self._responses = responses
        session = getattr(transport, "_session", None)
        if session is not None:
            # The body is read here: the timeout of a request is that of each of its parts.
            session.stream = True
            if isinstance(session.verify, str):
                # Only as an argument does it take precedence over REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE.
                session.request = partial(session.request, verify=session.verify)

    def request(self, method: str, url: str, *, timeout: float, **more: Any) -> _Result:
        timeout = min(timeout, self._responses.timeout)
        deadline = monotonic() + timeout
        with _logs_dropped():
            result: _Result = self._transport.request(method, url, timeout=timeout, **more)
            error, content = result.error, b""
            if error is None:
                try:
                    content = _content(result, deadline)
                except Exception as failed:
                    error = failed
        if error is not None:
            retried = self._transport.is_connection_error(error) and not self._responses.clock_set
            kind = _ConnectionFailedError if retried else ExportError
            return self._failure(kind(reason(error)))
        status = result.status_code or 0
        if status >= 400:
            remedy = _BY_STATUS.get(status)
            text = _phrase(status) + (f" ({remedy})" if remedy else "")
            self._responses.refused(f"the endpoint answers {status} {text}")
            # After 429 the exporter sends the same export again.
            if status < 500 and status != 429:
                with suppress(Exception):
                    self._responses.rejected(*_rejected(result, content))
            if self._responses.clock_set:
                return _Failure(ExportError(text))
            return replace(result, reason=text)  # type: ignore[type-var]  # a dataclass
        problem = _redirect(result) if status >= 300 else self._problem(result, content)
        return result if problem is None else self._failure(ExportError(problem))

    def _failure(self, error: ExportError) -> _Failure:
        self._responses.refused(str(error))
        return _Failure(error)

    def _problem(self, result: _Result, content: bytes) -> str | None:
        """Why a 2xx response is not an OTLP response, or `None`; notes what the endpoint rejected."""
        if not content:
            return None
        try:
            rejected, message = _rejected(result, content)
        except Exception:
            kind = _printable(_content_type(result)) or "something"
            return (
                f"the endpoint answers {result.status_code}, but with {kind} instead of an OTLP response: it is not a "
                "Collector, but for example a proxy or a login page; check OTEL_EXPORTER_OTLP_ENDPOINT"
            )
        self._responses.rejected(rejected, message)
        return None

    def is_connection_error(self, error: Exception | None) -> bool:
        return isinstance(error, _ConnectionFailedError)

    def close(self) -> None:
        self._transport.close()


def _content(result: _Result, deadline: float) -> bytes:
    """The body, cut at a length that no OTLP response has; raises `TimeoutError` at the deadline."""
    response: Any = getattr(result, "response", None)
    if not hasattr(response, "iter_content"):
        return result.content()
    content = bytearray()
    # Closes the connection if there is more.
    with response:
        # Byte by byte: a longer part would be waited for as a whole.
        for part in response.iter_content(1):
            content += part
            if monotonic() > deadline:
                raise TimeoutError
            if len(content) == _LONGEST_RESPONSE:
                break
    return bytes(content)


def _redirect(result: _Result) -> str:
    try:
        host = urlsplit(result.headers().get("location", "")).hostname
    except ValueError:
        host = None
    return (
        f"the endpoint answers {result.status_code} {_phrase(result.status_code or 0)}, a redirect"
        + (f" to {host}" if host else "")
        + ", which OTLP does not follow: set OTEL_EXPORTER_OTLP_ENDPOINT to the address of the Collector itself"
    )


def _content_type(result: _Result) -> str:
    return result.headers().get("content-type", "").partition(";")[0].strip().lower()


def _rejected(result: _Result, content: bytes) -> tuple[int, str]:
    """How much the endpoint rejected, and why. Raises an exception if the body is not an OTLP response."""
    kind = _content_type(result)
    if kind == "application/json":
        return _from_json(json.loads(content))
    if kind in ("application/x-protobuf", "application/protobuf", "application/octet-stream", ""):
        return _from_protobuf(content)
    raise ValueError(kind)


def _from_json(response: Any) -> tuple[int, str]:
    partial = response.get("partialSuccess") or {}
    rejected = next((value for name, value in partial.items() if name.startswith("rejected")), 0)
    return int(rejected), str(partial.get("errorMessage", ""))


def _from_protobuf(content: bytes) -> tuple[int, str]:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

    # The responses of the three signals have the same fields with the same numbers.
    partial = ExportMetricsServiceResponse.FromString(content).partial_success
    return partial.rejected_data_points, partial.error_message


def _check_grpc(exporter: Any, responses: _Responses) -> None:
    initialize, endpoint = exporter._initialize_channel_and_stub, exporter._endpoint

    def initialize_checked() -> None:
        exporter._endpoint = endpoint
        initialize()
        _check_stub(exporter, responses)

    # The SDK calls it again after a failure.
    exporter._initialize_channel_and_stub = initialize_checked
    _check_stub(exporter, responses)


def _check_stub(exporter: Any, responses: _Responses) -> None:
    exporter._client = _CheckedStub(exporter._client, responses)
    # The SDK logs it.
    exporter._endpoint = "the OTLP endpoint"


class _CheckedStub:
    """A stub of an OTLP service that explains errors, and reports what the endpoint rejected."""

    def __init__(self, stub: Any, responses: _Responses) -> None:
        self._stub = stub
        self._responses = responses

    def Export(self, *, timeout: float, **arguments: Any) -> Any:  # noqa: N802 - the name of the RPC method
        timeout = min(timeout, self._responses.timeout)
        try:
            response = self._stub.Export(timeout=timeout, **arguments)
        except Exception as error:
            raise _explained(error, self._responses) from None
        partial = response.partial_success
        rejected = next((value for field, value in partial.ListFields() if field.name.startswith("rejected")), 0)
        self._responses.rejected(rejected, partial.error_message)
        return response


def _explained(error: Any, responses: _Responses) -> Exception:
    """The same error without text that may contain a header or the URL."""
    from grpc import RpcError, StatusCode

    if isinstance(error, RpcError):
        code, trailing = error.code(), error.trailing_metadata() or ()
        details = responses.explained(code.name, str(error.details() or ""))
    else:
        code, trailing = StatusCode.INTERNAL, ()
        details = f"{type(error).__qualname__}: the call cannot be made: check OTEL_EXPORTER_OTLP_HEADERS"
    responses.refused(details)
    if responses.clock_set:
        # Is not retried.
        code, trailing = StatusCode.INTERNAL, ()

    class ExplainedRpcError(RpcError):
        def code(self) -> Any:
            return code

        def details(self) -> str:
            return details

        def trailing_metadata(self) -> Any:
            return trailing

    return ExplainedRpcError(details)


def reason(error: BaseException) -> str:
    """Why there is no response; never the text of the exception, which may contain values of settings."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return _tls_reason(cause)
    for kinds, text in _BY_ERROR:
        if any(isinstance(cause, kinds) for cause in causes):
            return text
    for cause in causes:
        if type(cause).__name__ in _BY_NAME:
            return _BY_NAME[type(cause).__name__]
    if any(isinstance(cause, OSError) and "TLS" in str(cause) for cause in causes):
        return "a certificate file cannot be read: check OTEL_EXPORTER_OTLP_CERTIFICATE and those of the client"
    return type(error).__qualname__


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _BY_VERIFY_CODE.get(error.verify_code) or f"{_CERTIFICATE_NOT_TRUSTED} ({error.verify_message})"
    if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
        return "the endpoint does not speak TLS: use http://"
    return f"TLS: {error.reason or 'the handshake failed'}"


def _causes(error: object) -> Iterator[BaseException]:
    """The exception and all that it wraps; requests and urllib3 pass them as arguments."""
    seen: set[int] = set()
    pending = [error]
    while pending:
        each = pending.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            pending += [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]


def _secrets(headers: Iterable[tuple[str, str]], address: str) -> frozenset[str]:
    """Secrets that an endpoint receives and may quote: header values, and user, password and query of the URL."""
    sent = [value for name, value in headers if name.lower() not in _HARMLESS_HEADERS]
    with suppress(ValueError):
        parts = urlsplit(address)
        sent += [parts.netloc.rpartition("@")[0], parts.query]
    pieces = _SEPARATORS.split(" ".join(sent))
    return frozenset(form for piece in pieces for form in (piece, unquote(piece)) if len(form) >= _SHORTEST_SECRET)


def _endpoint_text(text: str, secrets: Collection[str]) -> str:
    """Text of an endpoint, unless it quotes a secret."""
    if any(secret in text for secret in secrets):
        return "its text is not shown, because it quotes a header or the URL"
    return _printable(text)[:_SHOWN]


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text).strip()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "(unknown status)"


_exporting: ContextVar[bool] = ContextVar("trust_otel_exporting", default=False)


@contextmanager
def _logs_dropped() -> Iterator[None]:
    """Drop the log records of an export within."""
    token = _exporting.set(True)
    try:
        yield
    finally:
        _exporting.reset(token)


class _DropWhileExporting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not _exporting.get()


_drop_while_exporting = _DropWhileExporting()
_queue_full_filter = QueueFullFilter()


def _drop_logs_while_exporting() -> None:
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_drop_while_exporting)
    logging.getLogger("opentelemetry.sdk._shared_internal").addFilter(_queue_full_filter)
