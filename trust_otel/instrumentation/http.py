"""Measures the HTTP requests of Starlette and FastAPI applications.

The outermost call of the application is measured, which includes middleware and exception handlers; a mounted
application does not count a second time. FastAPI's own metrics are disabled: they have the same names. Its spans stay.
Nothing is recorded of requests that a setting excludes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from contextvars import Token
from functools import partial
from os import environ
from time import perf_counter
from types import ModuleType
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from wrapt import register_post_import_hook

from trust_otel import settings
from trust_otel.instrumentation import fastapi_telemetry
from trust_otel.instrumentation.excluded_urls import EXCLUDED, Exclusions
from trust_otel.instrumentation.executors import WorkerThreads
from trust_otel.instrumentation.http_routes import (
    RouteClasses,
    frontend_template,
    is_frontend,
    template,
    unseen_route,
    wrapped_route,
)
from trust_otel.metrics import recorder_of
from trust_otel.metrics.client import http_outcome
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
    _routes: RouteClasses
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
        measured_application = partial(_measured_application, _Exchanges(recorder, patches, workers))
        for application in (Starlette, Router, BaseRoute):
            patches.replace(application, "__call__", measured_application)
        self._exclusions = Exclusions(environ)
        if self._exclusions:
            for application in (Starlette, Router, BaseRoute):
                patches.replace(application, "__call__", self._exclusions.excluding(_EXCHANGE))
        patches.replace(StreamingResponse, "__call__", _noting_failures)
        for layered in (Route, Mount, Router):
            patches.replace(layered, "__init__", _noting_below_middleware)
        self._routes = RouteClasses(patches, _storing, recorder.instruments.dropped)
        self._routes.replace()
        self._fastapi = False
        register_post_import_hook(self.instrument_fastapi, "fastapi")

    def instrument_fastapi(self, fastapi: ModuleType) -> None:
        """Instrument FastAPI when its import is complete, after that of Starlette."""
        if not self._patches.active or self._fastapi or not hasattr(fastapi, "FastAPI"):
            return
        self._fastapi = True
        fastapi_telemetry.spans_only(self._patches, fastapi, self._exclusions.fastapi_urls or None)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._workers.forget()
        self._routes.restore()
        self._patches.restore()


class _Exchanges:
    """Starts the measurement of requests."""

    def __init__(self, recorder: Recorder, patches: Patches, workers: WorkerThreads) -> None:
        self._recorder = recorder
        self._http = recorder.http
        self._security = recorder.security
        self.body_sizes = recorder.http.body_sizes is not None
        self._dropped = recorder.instruments.dropped
        self._patches = patches
        self._workers = workers
        self._proxies = TrustedProxies(settings.current().trusted_proxies)

    def begin(self, scope: Scope, receive: Receive, send: Send) -> _Exchange | None:
        """Start measuring a request; `None` for a WebSocket or a lifespan event."""
        try:
            if scope["type"] != "http" or EXCLUDED in scope or not self._patches.active:
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
    innermost: tuple[Any, Scope] | None = None
    _matched: object = None
    _noted: str | None = None
    _interrupted = False
    _answered = False
    _status: int | None = None
    _received = 0
    _sent = 0
    _declared: int | None = None
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

    def note(self, error: Exception, scope: Scope, application: object = None) -> None:
        """Note an exception that left a router or a mounted application: middleware may hide it."""
        if self.ended:
            return
        self._answered = self._answered or _answers_all(application)
        if self._noted is None:
            try:
                started = self._status is not None
                if started or not _has_handler(error, scope):
                    self._noted = error_type(error)
                    self._interrupted = started
            except Exception as failure:
                report_failure(self._dropped, _Exchange.note, failure, (self, error, scope), {})

    def note_interrupted(self, error: Exception) -> None:
        """Note an exception of a stream: middleware may complete its response all the same."""
        if not self._interrupted and not self.ended:
            self._noted = error_type(error)
            self._interrupted = True

    def fail(self, error: BaseException, application: object) -> None:
        """Record an exception that left the application."""
        # Starlette raises an exception again after the handler for all of them has answered.
        answered = self._complete and (self._answered or _answers_all(application))
        answered = answered and self._status is not None and self._status < 500
        self._finish(None if answered else self._noted or error_type(error))

    def leave(self, scope: Scope) -> None:
        """End the request after the application returned or raised."""
        stop_answering(self.token)
        scope.pop(_EXCHANGE, None)
        if not self.ended:
            if self._complete:
                # What middleware answers in place of an exception counts by its status.
                failed = self._status is None or self._status >= 500
                self._finish(self._noted if failed else None)
            else:
                self._finish(self._noted or "incomplete_response")

    async def receive_counted(self) -> Message:
        """Receive a message of the request, and count its bytes."""
        message = await self._receive()
        try:
            self._received += len(message.get("body", b""))
        except Exception as error:
            report_failure(self._dropped, _Exchange.receive_counted, error, (self,), {})
        return message

    async def send_counted(self, message: Message) -> None:
        """Count the bytes of a message of the response, and send it."""
        try:
            kind = message["type"]
            if kind == "http.response.start":
                self._declared = _declared_length(message.get("headers", ()))
            elif kind == "http.response.body":
                self._sent += len(message.get("body", b""))
            elif kind == "http.response.pathsend":
                self._sent = self._declared or 0
        except Exception as error:
            report_failure(self._dropped, _Exchange.send_counted, error, (self, message), {})
        await self.send(message)

    async def send(self, message: Message) -> None:
        """Read the status and the end of the response from a message, and send it.

        Before, because the process may be killed as soon as the client has its answer: a counted request may then lack
        its answer, but no answered request is lost. The duration ends when the last message is handed to the server.
        """
        try:
            kind = message["type"]
            if kind == "http.response.start":
                self._status = message["status"]
            elif kind == "http.response.body":
                self._complete = not message.get("more_body", False)
            elif kind == "http.response.pathsend":
                self._complete = True
            # Background tasks run after the response and do not count as part of the request. After an error response,
            # the application still raises the exception. It may also raise one that was noted before the response
            # started, unless middleware answers in its place.
            if self._complete and self._status is not None and self._status < 500:
                if self._noted is None:
                    self._finish(None)
                elif self._interrupted:
                    self._finish(self._noted)
        except Exception as error:
            report_failure(self._dropped, _Exchange.send, error, (self, message), {})
        await self._send(message)

    def set_route(self, route: object, scope: Scope) -> None:
        """Store the matched route."""
        # The `handle` of a subclass may call that of its base class.
        if self._matched is not route:
            try:
                self._matched = route
                path = template(route, scope)
                if path is not None:
                    self.route = self.mounted_at + path
                    self.path_known = True
            except Exception as error:
                report_failure(self._dropped, _Exchange.set_route, error, (self, route, scope), {})

    @fail_open
    def set_frontend(self, _route: object, scope: Scope) -> None:
        """Store the route of the files of FastAPI's `frontend`."""
        self.route = self.mounted_at + frontend_template(scope)

    @fail_open
    def set_mount(self, mount: Mount, scope: Scope) -> None:
        """Store the matched mount."""
        # As in `set_route`; but a mount may contain itself.
        matched = mount, scope.get("root_path")
        if self._matched == matched:
            return
        self._matched = matched
        self.mounted_at += (template(mount, scope) or "").removesuffix("/{path}")
        self.route = self.mounted_at + "/{path}"
        # A 404 of another application may be for a path that exists there.
        self.path_known = not (mount.routes or isinstance(mount.app, StaticFiles))

    @fail_open
    def _find_unseen_route(self, router: Any, scope: Scope) -> None:
        route = unseen_route(router, scope)
        if route is not None:
            self.set_route(wrapped_route(route), scope)

    def _finish(self, failure: str | None) -> None:
        if self.ended:
            return
        status = self._status
        # Whether no route answered a 404 is not worth a search.
        if self.route is None and self.innermost is not None and status != 404:
            self._find_unseen_route(*self.innermost)
        # The SLAs of its duration have the client of the request, also after the application returned.
        token = None if self.client_name is None else answering.set(self)
        try:
            self._kind.record_valid(
                perf_counter() - self._started,
                (self.route, status, failure),
                # The received bytes, not the Content-Length header: a client could send any number in it.
                self._received,
                # For HEAD the server sends headers only.
                0 if self._scope["method"] == "HEAD" else self._sent,
            )
            if token is not None:
                stop_answering(token)
                self._recorder.clients.request_ended(self, http_outcome(status, failure))
            if status in _SECURITY_STATUSES:
                self._recorder.security.request_answered(self, status, place=self.route)
                if status == 404 and not self.path_known:
                    self._recorder.security.path_not_found(self, self._scope["path"])
        except Exception as error:
            report_failure(self._dropped, _Exchange._finish, error, (self, failure), {})
        self.ended = True
        # A task of the service may keep this context; release the request.
        self._scope = {}
        self.innermost = None


def _header(scope: Scope, wanted: bytes) -> str | None:
    return next((text.decode("latin-1") for name, text in scope.get("headers", ()) if name == wanted), None)


def _declared_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    for name, text in headers:
        if name == b"content-length":
            return int(text) if text.isdigit() and len(text) < 16 else None
    return None


def _exchange_of(scope: Scope) -> _Exchange | None:
    try:
        exchange: _Exchange | None = scope.get(_EXCHANGE)
    except Exception:  # not a mapping: what is called with it raises its own error
        return None
    return exchange


def _measured_application(
    exchanges: _Exchanges, application: Callable[..., Awaitable[None]]
) -> Callable[..., Awaitable[None]]:
    """Replaces `__call__` of an application, or of a router or a route, which may be one or be in one."""
    begin, sizes = exchanges.begin, exchanges.body_sizes

    async def __call__(self: Any, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: N807
        try:
            outer = scope.get(_EXCHANGE)
        except Exception:  # not a mapping: the original raises its own error
            outer = None
        if outer is not None:
            # The router of an application, or an application in another.
            outer.innermost = self, scope
            try:
                return await application(self, scope, receive, send)
            except Exception as error:
                outer.note(error, scope, self)
                raise
        exchange = begin(scope, receive, send)
        if exchange is None:
            return await application(self, scope, receive, send)
        if sizes:
            receive, send = exchange.receive_counted, exchange.send_counted
        else:
            send = exchange.send
        try:
            return await application(self, scope, receive, send)
        except BaseException as error:
            exchange.fail(error, self)
            raise
        finally:
            exchange.leave(scope)

    return __call__


def _storing(kind: type[BaseRoute], original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Replaces `handle` of a kind of route with one that first stores the route."""
    store: Callable[[_Exchange, Any, Scope], None] = _Exchange.set_route
    if issubclass(kind, Mount):
        store = _Exchange.set_mount
    elif is_frontend(kind):
        store = _Exchange.set_frontend

    async def handle(self: BaseRoute, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            exchange = scope.get(_EXCHANGE)
        except Exception:  # not a mapping: the original raises its own error
            exchange = None
        if exchange is not None:
            store(exchange, self, scope)
        return await original(self, scope, receive, send)

    return handle


def _noting_failures(original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Replaces `__call__` of a streaming response with one that notes an exception."""

    async def __call__(self: StreamingResponse, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: N807
        try:
            return await original(self, scope, receive, send)
        except Exception as error:
            exchange = _exchange_of(scope)
            if exchange is not None:
                exchange.note_interrupted(error)
            raise

    return __call__


class _NotingFailures:
    """Middleware that notes exceptions before other middleware can hide them."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            exchange = _exchange_of(scope)
            if exchange is not None:
                exchange.note(error, scope)
            raise


def _noting_below_middleware(original: Callable[..., None]) -> Callable[..., None]:
    """Replaces the constructor of what may have middleware of its own, which is below the application's."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # noqa: N807
        layers = kwargs.get("middleware")
        if layers and isinstance(layers, (list, tuple)):
            kwargs["middleware"] = [*layers, Middleware(_NotingFailures)]
        return original(*args, **kwargs)

    return __init__


def _has_handler(error: Exception, scope: Scope) -> bool:
    """Whether an exception handler of the application answers the exception, as Starlette looks it up."""
    by_class, by_status = scope.get("starlette.exception_handlers") or ({}, {})
    if isinstance(error, HTTPException) and error.status_code in by_status:
        return True
    return any(kind in by_class for kind in type(error).__mro__)


def _answers_all(application: object) -> bool:
    """Whether an application has an exception handler for every exception."""
    if not isinstance(application, Starlette):
        return False
    return Exception in application.exception_handlers or 500 in application.exception_handlers
