"""Measures the HTTP requests of Starlette and FastAPI applications.

The outermost call of the application is measured, which includes middleware and exception handlers; a mounted
application does not count a second time. FastAPI's own metrics are disabled: they have the same names. Its spans stay.
Nothing is recorded of requests that a setting excludes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from contextvars import Token
from os import environ
from time import perf_counter
from types import ModuleType
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from wrapt import register_post_import_hook

from trust_otel import settings
from trust_otel.instrumentation import fastapi_telemetry
from trust_otel.instrumentation.excluded_urls import EXCLUDED, Exclusions
from trust_otel.instrumentation.executors import WorkerThreads
from trust_otel.metrics import recorder_of
from trust_otel.metrics.http import RequestKind
from trust_otel.metrics.operation import error_type
from trust_otel.metrics.recorder import Recorder
from trust_otel.metrics.request import Request, answering, authentication_method, stop_answering
from trust_otel.patches import Patches
from trust_otel.recording.fail_open import fail_open, report_failure
from trust_otel.recording.self_metrics import DroppedMeasurements
from trust_otel.security.client_address import TrustedProxies

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_EXCHANGE = "trust_otel.exchange"

# Responses that are security events.
_SECURITY_STATUSES = (401, 403, 404, 429)


class HttpInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Measures every Starlette and FastAPI application of the process.

    `instrument(metrics=...)` takes the `TrustServiceMetrics` to record with; by default that of `get_metrics()`.
    """

    _patches: Patches
    _workers: WorkerThreads
    _exclusions: Exclusions
    _fastapi = False

    def instrumentation_dependencies(self) -> Collection[str]:
        """Supported versions of the library."""
        return ("starlette >= 0.40",)

    def _instrument(self, **kwargs: Any) -> None:
        recorder = recorder_of(kwargs.get("metrics"))
        self._workers = workers = WorkerThreads()
        recorder.executors.observe_executors(workers.states)
        self._patches = patches = Patches()
        begin = _Exchanges(recorder, patches, workers).begin

        def measured_application(application: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
            async def __call__(self: Starlette, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: N807
                exchange = begin(scope, receive, send)
                if exchange is None:
                    return await application(self, scope, receive, send)
                try:
                    return await application(self, scope, exchange.receive, exchange.send)
                except BaseException as error:
                    exchange.fail(error)
                    raise
                finally:
                    exchange.leave(scope)

            return __call__

        patches.replace(Starlette, "__call__", measured_application)
        self._exclusions = Exclusions(environ)
        if self._exclusions:
            patches.replace(Starlette, "__call__", self._exclusions.excluding(_EXCHANGE))
        patches.replace(Route, "handle", _storing(_Exchange.set_route))
        patches.replace(Mount, "handle", _storing(_Exchange.set_mount))
        self._fastapi = False
        register_post_import_hook(self.instrument_fastapi, "fastapi")

    def instrument_fastapi(self, fastapi: ModuleType) -> None:
        """Instrument FastAPI when its import is complete, after that of Starlette."""
        if not self._patches.active or self._fastapi or not hasattr(fastapi, "FastAPI"):
            return
        self._fastapi = True
        for kind in _fastapi_routes():
            self._patches.replace(kind, "handle", _storing(_Exchange.set_route))
        fastapi_telemetry.spans_only(self._patches, fastapi, self._exclusions.fastapi_urls or None)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._workers.forget()
        self._patches.restore()


class _Exchanges:
    """Starts the measurement of requests."""

    def __init__(self, recorder: Recorder, patches: Patches, workers: WorkerThreads) -> None:
        self._recorder = recorder
        self._http = recorder.http
        self._security = recorder.security
        self._dropped = recorder.instruments.dropped
        self._patches = patches
        self._workers = workers
        self._proxies = TrustedProxies(settings.current().trusted_proxies)

    def begin(self, scope: Scope, receive: Receive, send: Send) -> _Exchange | None:
        """Start measuring a request; `None` for a WebSocket, a lifespan event or a mounted application."""
        try:
            if scope["type"] != "http" or EXCLUDED in scope or _EXCHANGE in scope or not self._patches.active:
                self._http.serving = True
                return None
            kind = self._http.request_kind(scope["method"], scope.get("scheme", "http"), scope.get("http_version"))
            exchange = scope[_EXCHANGE] = _Exchange(self._recorder, self._proxies, kind, scope, receive, send)
            kind.started()
            self._security.request_began(exchange)
            exchange.token = answering.set(exchange)
            self._workers.track_current_loop()
        except Exception as error:
            report_failure(self._dropped, _Exchanges.begin, error, (self, scope, receive, send), {})
            return None
        return exchange


class _Exchange(Request):
    """A request and its response. What every request calls has as few frames as possible."""

    token: Token[Request | None]
    mounted_at = ""
    route: str | None = None
    path_known = False
    _matched: BaseRoute | None = None
    _status: int | None = None
    _received = 0
    _sent = 0
    _response_headers: Iterable[tuple[bytes, bytes]] = ()
    _complete = False

    def __init__(
        self,
        recorder: Recorder,
        proxies: TrustedProxies,
        kind: RequestKind,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._recorder = recorder
        self._proxies = proxies
        self._kind = kind
        self._scope = scope
        self._receive = receive
        self._send = send
        self._started = perf_counter()

    @property
    def _dropped(self) -> DroppedMeasurements:
        return self._recorder.instruments.dropped

    def __deepcopy__(self, memo: object) -> _Exchange:
        # A copied scope belongs to the same request.
        return self

    def find_client_address(self) -> str | None:
        peer = self._scope.get("client")
        return self._proxies.client(peer[0] if peer else None, self._scope.get("headers", ()))

    def authentication_method(self) -> str | None:
        authorization = _header(self._scope, b"authorization")
        if authorization is not None:
            return authentication_method(authorization)
        # Only if the server supports the TLS extension of ASGI.
        tls = (self._scope.get("extensions") or {}).get("tls") or {}
        return "certificate" if tls.get("client_cert_chain") else None

    def fail(self, error: BaseException) -> None:
        """Record an exception of the application."""
        self._finish(error_type(error))

    def leave(self, scope: Scope) -> None:
        """End the request after the application returned or raised."""
        stop_answering(self.token)
        scope.pop(_EXCHANGE, None)
        if not self.ended:
            self._finish(None if self._complete else "incomplete_response")

    async def receive(self) -> Message:
        """Receive a message of the request, and count its bytes."""
        message = await self._receive()
        try:
            self._received += len(message.get("body", b""))
        except Exception as error:
            report_failure(self._dropped, _Exchange.receive, error, (self,), {})
        return message

    async def send(self, message: Message) -> None:
        """Read the status and count the bytes of a message of the response, and send it.

        Before, because the process may be killed as soon as the client has its answer: a counted request may then lack
        its answer, but no answered request is lost. The duration ends when the last message is handed to the server.
        """
        try:
            kind = message["type"]
            if kind == "http.response.start":
                self._status = message["status"]
                self._response_headers = message.get("headers", ())
            elif kind == "http.response.body":
                self._sent += len(message.get("body", b""))
                self._complete = not message.get("more_body", False)
            elif kind == "http.response.pathsend":
                self._sent = _declared_length(self._response_headers) or 0
                self._complete = True
            # Background tasks run after the response and do not count as part of the request. After an error response,
            # the application still raises the exception, which is recorded as `error.type`.
            if self._complete and self._status is not None and self._status < 500:
                self._finish(None)
        except Exception as error:
            report_failure(self._dropped, _Exchange.send, error, (self, message), {})
        await self._send(message)

    def set_route(self, route: Route, scope: Scope) -> None:
        """Store the matched route."""
        # The `handle` of a subclass may call that of its base class.
        if self._matched is not route:
            try:
                self._matched = route
                self.route = self.mounted_at + _template(route, scope)
                self.path_known = True
            except Exception as error:
                report_failure(self._dropped, _Exchange.set_route, error, (self, route, scope), {})

    @fail_open
    def set_mount(self, mount: Mount, scope: Scope) -> None:
        """Store the matched mount."""
        self.mounted_at += _template(mount, scope).removesuffix("/{path}")
        self.route = self.mounted_at + "/{path}"
        # A 404 of another application may be for a path that exists there.
        self.path_known = not (mount.routes or isinstance(mount.app, StaticFiles))

    def _finish(self, failure: str | None) -> None:
        if self.ended:
            return
        status = self._status
        try:
            self._kind.record_valid(
                perf_counter() - self._started,
                (self.route, status, failure),
                # The received bytes, not the Content-Length header: a client could send any number in it.
                self._received,
                # For HEAD the server sends headers only.
                0 if self._scope["method"] == "HEAD" else self._sent,
            )
            if status in _SECURITY_STATUSES:
                self._recorder.security.request_answered(self, status, place=self.route)
                if status == 404 and not self.path_known:
                    self._recorder.security.path_not_found(self, self._scope["path"])
        except Exception as error:
            report_failure(self._dropped, _Exchange._finish, error, (self, failure), {})
        self.ended = True
        # A task of the service may keep this context; release the request.
        self._scope = {}


def _header(scope: Scope, wanted: bytes) -> str | None:
    return next((text.decode("latin-1") for name, text in scope.get("headers", ()) if name == wanted), None)


def _declared_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    for name, text in headers:
        if name == b"content-length":
            return int(text) if text.isdigit() and len(text) < 16 else None
    return None


def _storing(
    store: Callable[[_Exchange, Any, Scope], None],
) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., Awaitable[None]]]:
    """Replaces `handle` of a kind of route with one that first stores the route."""

    def wrap(original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def handle(self: BaseRoute, scope: Scope, receive: Receive, send: Send) -> None:
            try:
                exchange = scope.get(_EXCHANGE)
            except Exception:  # not a mapping: the original raises its own error
                exchange = None
            if exchange is not None:
                store(exchange, self, scope)
            return await original(self, scope, receive, send)

        return handle

    return wrap


def _template(route: Any, scope: Scope) -> str:
    """The path template of a route.

    FastAPI (0.165) stores the full path of a route in an included router in an undocumented part of the scope; without
    it, the template lacks the prefix of `include_router`.
    """
    context = scope.get("fastapi", {}).get("effective_route_context")
    if context is not None and route in (context.original_route, context.starlette_route):
        return str(context.path)
    return str(route.path)


def _fastapi_routes() -> list[type[BaseRoute]]:
    """FastAPI's route class, in the versions in which it overrides `handle`."""
    from fastapi.routing import APIRoute

    return [APIRoute] if "handle" in vars(APIRoute) else []
