"""HTTP requests. Source: OpenTelemetry semantic conventions 1.44, "HTTP metrics"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar

from trust_otel.metrics.decorated import decorated
from trust_otel.metrics.family import Family
from trust_otel.metrics.operation import error_type as type_of_error
from trust_otel.metrics.request import Request, answering, authentication_method, current_request, stop_answering
from trust_otel.metrics.security import SecurityMetrics
from trust_otel.recording.instruments import BoundedCounter, BoundedHistogram, Instruments
from trust_otel.semconv.attributes import HTTP_REQUEST_METHOD
from trust_otel.semconv.metrics import (
    HTTP_SERVER_ACTIVE_REQUESTS,
    HTTP_SERVER_REQUEST_BODY_SIZE,
    HTTP_SERVER_REQUEST_DURATION,
    HTTP_SERVER_RESPONSE_BODY_SIZE,
)

_Handler = TypeVar("_Handler", bound=Callable[..., Any])

_METHODS = frozenset(HTTP_REQUEST_METHOD.members)


class HttpMetrics(Family):
    """Requests that the service answers; some answers are security events."""

    def __init__(self, instruments: Instruments, security: SecurityMetrics) -> None:
        super().__init__(instruments)
        self.security = security
        self._http_active = instruments.up_down_counter(HTTP_SERVER_ACTIVE_REQUESTS)
        self._http_duration = instruments.histogram(HTTP_SERVER_REQUEST_DURATION)
        self._http_request_size = instruments.histogram(HTTP_SERVER_REQUEST_BODY_SIZE)
        self._http_response_size = instruments.histogram(HTTP_SERVER_RESPONSE_BODY_SIZE)

    def http_request(self, *, method: str, scheme: str = "http", protocol_version: str | None = None) -> HttpRequest:
        """Start measuring a request; the caller must call `finish` on what it gets, once."""
        return HttpRequest(
            self._http_active,
            self._http_duration,
            self._http_request_size,
            self._http_response_size,
            method,
            scheme,
            protocol_version,
        )

    def http_request_metrics(
        self, *, route: str | None = None, method: str | None = None
    ) -> Callable[[_Handler], _Handler]:
        """Decorate a handler, sync or async, that no instrumentation sees; a generator is one that streams.

        Within a request that is measured already, by the instrumentation or by an outer decorator, it does nothing.

        Args:
            route: Value of `http.route`; the function's name by default.
            method: Value of `http.request.method`; by default that of the first argument that has one.
        """

        def decorate(handler: _Handler) -> _Handler:
            name = route if route is not None else getattr(handler, "__name__", "handler")

            return decorated(handler, lambda args, kwargs: _HandlerCall(self, name, method, (*args, *kwargs.values())))

        return decorate


class HttpRequest:
    """A request between its start and its end."""

    __slots__ = (
        "_active",
        "_active_labels",
        "_duration",
        "_labels",
        "_request_size",
        "_response_size",
        "_started",
    )

    def __init__(
        self,
        active: BoundedCounter,
        duration: BoundedHistogram,
        request_size: BoundedHistogram,
        response_size: BoundedHistogram,
        method: str,
        scheme: str,
        protocol_version: str | None,
    ) -> None:
        self._active = active
        self._duration = duration
        self._request_size = request_size
        self._response_size = response_size
        known_method = _known_method(method)
        self._active_labels = {"http.request.method": known_method, "url.scheme": scheme}
        self._labels: dict[str, object] = {
            "http.request.method": known_method,
            "url.scheme": scheme,
            "network.protocol.version": protocol_version,
        }
        active(1, self._active_labels)
        self._started = perf_counter()

    def finish(
        self,
        *,
        route: str | None = None,
        status_code: int | None = None,
        error_type: str | None = None,
        request_size: int | None = None,
        response_size: int | None = None,
    ) -> None:
        """Record the end of the request.

        Args:
            route: Template of the matched route; `None` when none matched.
            status_code: Status of the response; `None` when there was none.
            error_type: Class of the exception; for status 500 and above, the status is used if there is none.
            request_size: Bytes of the request's body, when known.
            response_size: Bytes of the response's body, when known.
        """
        seconds = perf_counter() - self._started
        labels = self._labels
        labels["http.route"] = route
        labels["http.response.status_code"] = status_code
        if error_type is None and isinstance(status_code, int) and status_code >= 500:
            error_type = str(status_code)
        labels["error.type"] = error_type
        self._duration(seconds, labels)
        if request_size is not None:
            self._request_size(request_size, labels)
        if response_size is not None:
            self._response_size(response_size, labels)
        self._active(-1, self._active_labels)


class _HandlerCall(Request):
    """A call of a handler; its arguments are all that is known about the request."""

    def __init__(self, metrics: HttpMetrics, route: str, method: str | None, arguments: tuple[Any, ...]) -> None:
        self._metrics = metrics
        self._route = route
        self._method = method
        self._arguments = arguments
        self._status = 200
        self._measured: HttpRequest | None = None

    def __enter__(self) -> _HandlerCall:
        if current_request() is None:
            self._token = answering.set(self)
            method = _method_of(self._arguments) if self._method is None else self._method
            self._measured = self._metrics.http_request(method=method)
        return self

    def answered(self, result: object) -> None:
        """Note the status of what the handler returned."""
        self._status = _status_of(result) or 200

    @contextmanager
    def outside(self) -> Iterator[None]:
        """What is between two items of a streaming handler."""
        if self._measured is None:
            yield
            return
        stop_answering(self._token)
        try:
            yield
        finally:
            self._token = answering.set(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._measured is None:
            return
        stop_answering(self._token)
        failure = None
        # A stream that the client closes early was answered.
        if error is not None and not isinstance(error, GeneratorExit):
            self._status, failure = _status_of_error(error), _failure(error)
        self._measured.finish(route=self._route, status_code=self._status, error_type=failure)
        self._metrics.security.request_answered(self, self._status, place=self._route)
        self.ended = True

    def authentication_method(self) -> str | None:
        for argument in self._arguments:
            headers = _attribute(argument, "headers")
            if isinstance(headers, Mapping):
                given = headers.get("Authorization", headers.get("authorization"))
                return authentication_method(given) if isinstance(given, str) else None
        return None


def _known_method(method: object) -> object:
    try:
        return method if method in _METHODS else HTTP_REQUEST_METHOD.other
    except Exception:  # it has no hash
        return HTTP_REQUEST_METHOD.other


def _method_of(arguments: tuple[Any, ...]) -> str:
    for argument in arguments:
        method = _attribute(argument, "method")
        if isinstance(method, str):
            return method
    return HTTP_REQUEST_METHOD.other


def _status_of(answer: object) -> int | None:
    for name in ("status_code", "status"):
        status = _attribute(answer, name)
        if isinstance(status, int) and 100 <= status <= 599:
            return int(status)
    return None


def _attribute(thing: object, name: str) -> object:
    try:
        return getattr(thing, name, None)
    except Exception:  # a property of the service's own, such as a lazy column without its session
        return None


def _status_of_error(error: BaseException) -> int:
    return _status_of(error) or 500


def _failure(error: BaseException) -> str | None:
    return type_of_error(error) if _status_of_error(error) >= 500 else None
