"""Metrics of the vocabulary that other instrumentations record, bounded as trust-otel's own.

The views of the SDK can choose attributes, but not bound their values.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Final, cast

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, Meter, MeterProvider, NoOpHistogram, UpDownCounter
from wrapt import ObjectProxy

from trust_otel.log_safe import error_location
from trust_otel.metrics.request import OWN_METER, answering, request_meters
from trust_otel.recording.instruments import BoundedCounter, BoundedHistogram, Instruments
from trust_otel.semconv.definitions import Metric
from trust_otel.semconv.metrics import (
    FLOWER_TASK_RUNTIME_SECONDS,
    HTTP_CLIENT_REQUEST_DURATION,
    HTTP_SERVER_ACTIVE_REQUESTS,
    HTTP_SERVER_REQUEST_DURATION,
)

_logger = logging.getLogger(__name__)

_Attributes = Mapping[str, Any] | None
_Labels = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]

_NOT_RECORDED: Final = (
    "http.client.request.body.size",
    "http.client.response.body.size",
    "http.server.request.body.size",
    "http.server.response.body.size",
)
"""No dashboard shows them, and ASGI's instrumentation gives the size of another response if requests overlap."""

_ROUTE: Final = "http.route"
_STATUS: Final = "http.response.status_code"


def bound_other_meters(provider: MeterProvider, instruments: Callable[[], Instruments]) -> None:
    """Make the meters of other instrumentations record metrics of the vocabulary in these instruments."""
    get_meter: Callable[..., Meter] = provider.get_meter

    @wraps(get_meter)
    def bounded(*args: Any, **kwargs: Any) -> Meter:
        meter = get_meter(*args, **kwargs)
        return meter if meter.name == OWN_METER else cast(Meter, _BoundedMeter(meter, instruments))

    provider.get_meter = bounded  # type: ignore[method-assign]


class _BoundedMeter(ObjectProxy):  # type: ignore[type-arg]  # only the class of the type stubs is generic
    """A meter whose instruments are bounded if their metric is in the vocabulary."""

    def __init__(self, meter: Meter, instruments: Callable[[], Instruments]) -> None:
        super().__init__(meter)
        self._self_instruments = instruments

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> Histogram:
        """A histogram of trust-otel's, or of the SDK."""
        if name in _NOT_RECORDED:
            return NoOpHistogram(name)
        if name == HTTP_SERVER_REQUEST_DURATION.name:
            request_meters.add(self.name)
        metric = _HISTOGRAMS.get(name)
        if metric is not None:
            try:
                return _OtherHistogram(metric, self._self_instruments())
            except Exception as error:
                _logger.debug("trust-otel: the SDK records %s itself: %s", name, error_location(error))
        created: Histogram = self.__wrapped__.create_histogram(
            name, unit, description, explicit_bucket_boundaries_advisory=explicit_bucket_boundaries_advisory
        )
        return created

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> UpDownCounter:
        """An up-down counter of trust-otel's, or of the SDK."""
        if name == HTTP_SERVER_ACTIVE_REQUESTS.name:
            try:
                return _OtherUpDownCounter(HTTP_SERVER_ACTIVE_REQUESTS, self._self_instruments())
            except Exception as error:
                _logger.debug("trust-otel: the SDK records %s itself: %s", name, error_location(error))
        created: UpDownCounter = self.__wrapped__.create_up_down_counter(name, unit, description)
        return created


class _Recording:
    """Records under the attributes that the metric declares."""

    def __init__(self, metric: Metric, bounded: BoundedHistogram | BoundedCounter, instruments: Instruments) -> None:
        self._names = frozenset(attribute.name for attribute in metric.attributes)
        self._labels = _server_labels if metric.name.startswith("http.server.") else _unchanged
        self._bounded = bounded
        self._dropped = instruments.dropped

    def __call__(self, amount: float, attributes: _Attributes, context: Context | None) -> None:
        try:
            given = {name: value for name, value in (attributes or {}).items() if name in self._names}
            labels = self._labels(given)
            if labels is None:
                return
            if context is None:
                self._bounded(amount, labels)
                return
            # An exemplar is of the current span.
            token = contexts.attach(context)
            try:
                self._bounded(amount, labels)
            finally:
                contexts.detach(token)
        except Exception:
            self._dropped.count("internal_error")


class _OtherHistogram(Histogram):
    def __init__(self, metric: Metric, instruments: Instruments) -> None:
        self._record = _Recording(metric, instruments.histogram(metric), instruments)

    def record(self, amount: float, attributes: _Attributes = None, context: Context | None = None) -> None:
        self._record(amount, attributes, context)


class _OtherUpDownCounter(UpDownCounter):
    def __init__(self, metric: Metric, instruments: Instruments) -> None:
        self._add = _Recording(metric, instruments.up_down_counter(metric), instruments)

    def add(self, amount: float, attributes: _Attributes = None, context: Context | None = None) -> None:
        self._add(amount, attributes, context)


def _unchanged(labels: Mapping[str, Any]) -> Mapping[str, Any]:
    return labels


def _server_labels(labels: dict[str, Any]) -> Mapping[str, Any] | None:
    """Labels of a request as in trust-otel's own measurement; `None` if that measures the request already."""
    # Another framework's application mounted in Starlette's, or a second instrumentation of FastAPI.
    if answering.get() is not None:
        return None
    route = labels.get(_ROUTE)
    # Litestar's plugin gives method and path, because it runs before the routes are searched.
    if not route or route.startswith(f"{labels.get('http.request.method')} "):
        labels.pop(_ROUTE, None)
    # The server answers with 500 if the application raises; aiohttp's and WSGI's instrumentations leave that out.
    if "error.type" in labels:
        labels.setdefault(_STATUS, 500)
    return labels


_HISTOGRAMS: Final = {
    metric.name: metric
    for metric in (FLOWER_TASK_RUNTIME_SECONDS, HTTP_CLIENT_REQUEST_DURATION, HTTP_SERVER_REQUEST_DURATION)
}
