"""HTTP requests. Source: OpenTelemetry semantic conventions 1.44, "HTTP metrics"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar

from trust_otel.metrics.client import ClientMetrics, http_outcome
from trust_otel.metrics.decorated import decorated
from trust_otel.metrics.family import Family
from trust_otel.metrics.operation import error_type as type_of_error
from trust_otel.metrics.request import (
    OWN_METER,
    Request,
    answering,
    authentication_method,
    current_request,
    request_meters,
    stop_answering,
)
from trust_otel.metrics.request_objects import attribute, request_among
from trust_otel.metrics.security import SecurityMetrics
from trust_otel.recording.fail_open import report_failure
from trust_otel.recording.instruments import BoundedHistogram, Instruments
from trust_otel.recording.self_metrics import DroppedMeasurements
from trust_otel.recording.series import CounterSeries, HistogramSeries
from trust_otel.semconv.attributes import HTTP_REQUEST_METHOD
from trust_otel.semconv.metrics import (
    HTTP_SERVER_ACTIVE_REQUESTS,
    HTTP_SERVER_REQUEST_BODY_SIZE,
    HTTP_SERVER_REQUEST_DURATION,
    HTTP_SERVER_RESPONSE_BODY_SIZE,
)

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


class HttpMetrics(Family):
    """Requests that the service answers; some answers are security events.

    Attributes:
        serving: Whether an application was called, or a request answered.
    """

    serving = False

    def __init__(self, instruments: Instruments, security: SecurityMetrics, clients: ClientMetrics) -> None:
        super().__init__(instruments)
        self.security = security
        self.clients = clients
        self.active = instruments.up_down_counter(HTTP_SERVER_ACTIVE_REQUESTS)
        self.duration = instruments.histogram(HTTP_SERVER_REQUEST_DURATION)
        self.body_sizes: _BodySizes | None = None
        if instruments.limits.http_body_sizes:
            self.body_sizes = (
                instruments.histogram(HTTP_SERVER_REQUEST_BODY_SIZE),
                instruments.histogram(HTTP_SERVER_RESPONSE_BODY_SIZE),
            )
        self._kinds: dict[tuple[str, str, str | None], RequestKind] = {}

    def request_kind(self, method: str, scheme: str, protocol_version: str | None) -> RequestKind:
        """What requests of this method, scheme and protocol version have in common."""
        try:
            return self._kinds[method, scheme, protocol_version]
        except Exception:  # a new kind, or an unhashable value
            return self._new_kind(method, scheme, protocol_version)

    def _new_kind(self, method: str, scheme: str, protocol_version: str | None) -> RequestKind:
        self.serving = True
        known_method = self._known_method(method)
        kind = RequestKind(self, known_method, scheme, protocol_version)
        # Only what is recorded unchanged, and not without end: what clients vary must not fill the memory.
        if kind.kept and known_method is method and len(self._kinds) < self._instruments.limits.label_sets:
            with suppress(Exception):  # a value that fails to compare
                self._kinds[method, scheme, protocol_version] = kind
        return kind

    def _known_method(self, method: object) -> object:
        try:
            return method if method in self._instruments.limits.http_methods else HTTP_REQUEST_METHOD.other
        except Exception:  # it has no hash
            return HTTP_REQUEST_METHOD.other

    def http_request(self, *, method: str, scheme: str = "http", protocol_version: str | None = None) -> HttpRequest:
        """Start measuring a request; the caller must call `finish` on what it gets, once."""
        return HttpRequest(self.request_kind(method, scheme, protocol_version))

    def http_request_metrics(
        self, *, route: str | None = None, method: str | None = None
    ) -> Callable[[_Handler], _Handler]:
        """Decorate a handler, sync or async, that no instrumentation sees; a generator is one that streams.

        Within a request that is measured already, by the instrumentation or by an outer decorator, it does nothing.
        What is not given comes from the request, if there is one among the arguments or as Flask's current request.

        Args:
            route: Value of `http.route`; by default the template of the request's route, or the function's name.
            method: Value of `http.request.method`; by default that of the request, or `_OTHER`.
        """

        request_meters.add(OWN_METER)

        def decorate(handler: _Handler) -> _Handler:
            name = getattr(handler, "__name__", "handler")

            def begin(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _HandlerCall:
                return _HandlerCall(self, route, method, name, (*args, *kwargs.values()))

            return decorated(handler, begin)

        return decorate


class RequestKind:
    """Requests of one method, scheme and protocol version, with their series."""

    __slots__ = ("_active", "_active_labels", "_ended", "_labels", "_metrics")

    def __init__(self, metrics: HttpMetrics, method: object, scheme: str, protocol_version: str | None) -> None:
        self._metrics = metrics
        self._active_labels = {"http.request.method": method, "url.scheme": scheme}
        self._labels = {**self._active_labels, "network.protocol.version": protocol_version}
        self._active = metrics.active.kept_series(self._active_labels)
        self._ended: dict[RequestEnd, _EndedSeries] = {}

    @property
    def dropped(self) -> DroppedMeasurements:
        """Counts what cannot be recorded."""
        return self._metrics._dropped

    @property
    def kept(self) -> bool:
        """Whether its labels are recorded unchanged."""
        return self._active is not None

    def started(self) -> None:
        """Count a request that begins."""
        if self._active is None:
            self._metrics.active(1, self._active_labels)
        else:
            self._active.add(1)

    def record_valid(
        self, seconds: float, end: RequestEnd, request_size: int | None = None, response_size: int | None = None
    ) -> None:
        """Record the end of a request whose amounts need no check; sizes are both known or both not."""
        try:
            duration, active, sizes = self._ended[end]
        except Exception:  # not kept yet, or an unhashable value
            self._keep(end, self.record(seconds, end, request_size, response_size))
        else:
            duration.record(seconds)
            active.add(-1)
            if sizes is not None and request_size is not None and response_size is not None:
                received, sent = sizes
                received.record(request_size)
                sent.record(response_size)

    def record(
        self, seconds: float, end: RequestEnd, request_size: int | None, response_size: int | None
    ) -> dict[str, object]:
        """Record the end of a request. Returns its labels."""
        metrics = self._metrics
        route, status_code, error_type = end
        if error_type is None and isinstance(status_code, int) and status_code >= 500:
            error_type = str(status_code)
        labels = {
            **self._labels,
            "http.route": route,
            "http.response.status_code": status_code,
            "error.type": error_type,
        }
        metrics.duration(seconds, labels)
        metrics.active(-1, self._active_labels)
        if metrics.body_sizes is not None:
            for record, size in zip(metrics.body_sizes, (request_size, response_size), strict=True):
                if size is not None:
                    record(size, labels)
        return labels

    def _keep(self, end: RequestEnd, labels: dict[str, object]) -> None:
        duration = self._metrics.duration.kept_series(labels)
        if duration is None or self._active is None:
            return
        if self._metrics.body_sizes is None:
            self._ended[end] = duration, self._active, None
            return
        received, sent = (size.kept_series(labels) for size in self._metrics.body_sizes)
        if received is not None and sent is not None:
            self._ended[end] = duration, self._active, (received, sent)


RequestEnd = tuple[str | None, int | None, str | None]
"""Route, status code and error type, as for `HttpRequest.finish`."""

_EndedSeries = tuple[HistogramSeries, CounterSeries, tuple[HistogramSeries, HistogramSeries] | None]

_BodySizes = tuple[BoundedHistogram, BoundedHistogram]


class HttpRequest:
    """A request between its start and its end."""

    __slots__ = ("_kind", "_started")

    def __init__(self, kind: RequestKind) -> None:
        self._kind = kind
        kind.started()
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
        end = route, status_code, error_type
        try:
            if request_size is None and response_size is None:
                self._kind.record_valid(seconds, end)
            else:
                self._kind.record(seconds, end, request_size, response_size)
        except Exception as error:
            report_failure(self._kind.dropped, HttpRequest.finish, error, (self,), {})


class _HandlerCall(Request):
    """A call of a handler; its arguments are all that is known about the request."""

    def __init__(
        self, metrics: HttpMetrics, route: str | None, method: str | None, name: str, arguments: tuple[Any, ...]
    ) -> None:
        self._metrics = metrics
        self._route = route
        self._method = method
        self._name = name
        self._arguments = arguments
        self._status = 200
        self._measured: HttpRequest | None = None

    def __enter__(self) -> _HandlerCall:
        if current_request() is None:
            self._token = answering.set(self)
            self._measured = HttpRequest(self._kind())
        return self

    def _kind(self) -> RequestKind:
        if self._method is not None and self._route is not None:
            return self._metrics.request_kind(self._method, "http", None)
        request = request_among(self._arguments)
        if self._route is None:
            self._route = self._name if request.route is None else request.route
        method = request.method if self._method is None else self._method
        return self._metrics.request_kind(method, request.scheme, request.protocol_version)

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
        failure = None
        # A stream that the client closes early was answered.
        if error is not None and not isinstance(error, GeneratorExit):
            self._status, failure = _status_of_error(error), _failure(error)
        self._measured.finish(route=self._route, status_code=self._status, error_type=failure)
        if self.client_name is not None:
            self._metrics.clients.request_ended(self, http_outcome(self._status, failure))
        # After the duration: its SLAs have the client of the request.
        stop_answering(self._token)
        self._metrics.security.request_answered(self, self._status, place=self._route)
        self.ended = True

    def authentication_method(self) -> str | None:
        given = request_among(self._arguments).header("Authorization")
        return None if given is None else authentication_method(given)


def _status_of(answer: object) -> int | None:
    for name in ("status_code", "status"):
        status = attribute(answer, name)
        if isinstance(status, int) and 100 <= status <= 599:
            return int(status)
    return None


def _status_of_error(error: BaseException) -> int:
    return _status_of(error) or 500


def _failure(error: BaseException) -> str | None:
    return type_of_error(error) if _status_of_error(error) >= 500 else None
