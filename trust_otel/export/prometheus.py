"""The in-process endpoint for scraping, with the same names and labels as the other paths to Prometheus."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import accumulate, chain
from json import dumps
from math import inf
from socket import SHUT_RDWR
from typing import Any, cast

from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    HistogramDataPoint,
    Metric,
    MetricReader,
    MetricsData,
    NumberDataPoint,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from trust_otel.semconv.prometheus import family_name, label_name
from trust_otel.semconv.resource import PROMOTED
from trust_otel.text import valid_text

_logger = logging.getLogger(__name__)

_Point = NumberDataPoint | HistogramDataPoint

_INSTRUMENTS = (Counter, UpDownCounter, Histogram, ObservableCounter, ObservableUpDownCounter, ObservableGauge)


class PrometheusReader(MetricReader):
    """Serves `/metrics` in the process.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for any free one, which is then in the attribute `port`.

    Raises:
        OSError: The port is in use or the address is not local.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(preferred_temporality=dict.fromkeys(_INSTRUMENTS, AggregationTemporality.CUMULATIVE))
        self._collected: MetricsData | None = None
        registry = CollectorRegistry()
        registry.register(_Families(self))
        self._server, self._thread = start_http_server(port, addr=host, registry=registry)
        self.port: int = self._server.server_port

    def read(self) -> MetricsData | None:
        """Collect the metrics."""
        self.collect()
        return self._collected

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        self._collected = metrics_data

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Stop serving."""
        with suppress(OSError):
            # Interrupts the server's wait for a connection, which otherwise takes up to 0.5 s.
            self._server.socket.shutdown(SHUT_RDWR)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout_millis / 1000)


class _Families(Collector):
    def __init__(self, reader: PrometheusReader) -> None:
        self._reader = reader

    def describe(self) -> Iterable[Family]:
        return ()

    def collect(self) -> Iterator[Family]:
        data = self._reader.read()
        yield from () if data is None else families(data)


def families(data: MetricsData) -> Iterable[Family]:
    """Convert collected metrics to Prometheus metric families, without duplicate names and samples."""
    found: dict[str, Family] = {}
    series: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    for resource in data.resource_metrics:
        common = _labels({name: resource.resource.attributes.get(name) for name in PROMOTED})
        _target_info(found, resource.resource)
        for metric in chain.from_iterable(scope.metrics for scope in resource.scope_metrics):
            family = _family(found, metric)
            if family is None:
                continue
            for point in cast("Iterable[_Point]", metric.data.data_points):
                labels = common | _labels(point.attributes or {})
                identity = tuple(sorted(labels.items()))
                samples = {(name, identity) for name in _sample_names(family)}
                if series.isdisjoint(samples):
                    series |= samples
                    _add(family, labels, point)
    return [family for family in found.values() if family.samples]


def _sample_names(family: Family) -> Sequence[str]:
    suffixes = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",), "gauge": ("",)}[family.type]
    return [family.name + suffix for suffix in suffixes]


def _family(found: dict[str, Family], metric: Metric) -> Family | None:
    data = metric.data
    if isinstance(data, HistogramData):
        kind, name = "histogram", family_name(metric.name, metric.unit or "")
    elif isinstance(data, Sum) and data.is_monotonic:
        kind = "counter"
        name = family_name(metric.name, metric.unit or "", monotonic=True).removesuffix("_total")
    elif isinstance(data, (Sum, Gauge)):
        kind, name = "gauge", family_name(metric.name, metric.unit or "", gauge=isinstance(data, Gauge))
    else:
        _warn_once(f"{metric.name} is not exposed: the endpoint does not support exponential histograms")
        return None
    family = found.setdefault(name, Family(name, valid_text(metric.description or ""), kind))
    if family.type != kind:
        _warn_once(f"{metric.name} is not exposed: {name} already exists as a {family.type}")
        return None
    return family


def _add(family: Family, labels: dict[str, str], point: _Point) -> None:
    if isinstance(point, HistogramDataPoint):
        bounds: Sequence[float] = [*point.explicit_bounds, inf]
        for bound, count in zip(bounds, accumulate(point.bucket_counts), strict=True):
            family.add_sample(f"{family.name}_bucket", {**labels, "le": _bound(bound)}, count)
        family.add_sample(f"{family.name}_sum", labels, point.sum)
        family.add_sample(f"{family.name}_count", labels, point.count)
    else:
        suffix = "_total" if family.type == "counter" else ""
        family.add_sample(f"{family.name}{suffix}", labels, point.value)


def _bound(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]  # as prometheus_client writes its own


def _target_info(found: dict[str, Family], resource: Resource) -> None:
    family = found.setdefault("target_info", Family("target_info", "Resource of the service.", "gauge"))
    family.add_sample("target_info", _labels(resource.attributes), 1)


def _labels(attributes: Any) -> dict[str, str]:
    return {label_name(name): _text(value) for name, value in attributes.items() if value is not None}


def _text(value: object) -> str:
    return valid_text(value if isinstance(value, str) else dumps(value, default=str))


@lru_cache(maxsize=1000)
def _warn_once(message: str) -> None:
    _logger.warning("trust-otel: %s", message)
