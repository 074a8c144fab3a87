"""The reader that exports periodically, with the right start time for new series."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from dataclasses import replace
from time import monotonic_ns, time_ns
from typing import Any, Final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    PeriodicExportingMetricReader,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

from trust_otel.export.clock import nanoseconds_set

HEARTBEAT_SECONDS: Final = 45
"""Seconds without an export after which the alert rules count a service as down."""

_Point = NumberDataPoint | HistogramDataPoint
_SeriesKey = tuple[str, str, Hashable]


class PeriodicReader(PeriodicExportingMetricReader):
    """Sets the start time of a new cumulative series to the time of the previous collection.

    The SDK 1.45.1 sets the start time of an observable series to its first observation, which is already above 0, so
    `increase()` misses the first event. The series was 0 at the previous collection, and Prometheus adds a 0 at the
    start time (`created-timestamp-zero-ingestion`). All versions of the SDK and all kinds of series are treated alike.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._starts = SeriesStarts()
        super().__init__(*args, **kwargs)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        super()._receive_metrics(self._starts.apply(metrics_data), timeout_millis, **kwargs)


class SeriesStarts:
    """The start time of each cumulative series, and no start after its point when the clock is set back.

    Args:
        since_unix_nano: Start time of the series of the first collection; by default, their own.
    """

    def __init__(self, since_unix_nano: int | None = None) -> None:
        self._starts: dict[_SeriesKey, int] = {}
        self._last_collection = since_unix_nano
        self._last_monotonic = monotonic_ns()
        self._set_by = 0
        self._process = os.getpid()

    def apply(self, data: MetricsData) -> MetricsData:
        """A copy of the data with corrected start times."""
        if self._process != os.getpid():
            # The series of a forked process start anew.
            self._process, self._starts, self._last_collection = os.getpid(), {}, None
        if self._last_collection is not None:
            set_by = nanoseconds_set(self._last_collection, self._last_monotonic)
            self._last_collection += set_by
            self._set_by = set_by or self._set_by
        seen: dict[_SeriesKey, int] = {}
        resources = [
            ResourceMetrics(
                resource.resource,
                [self._scope(scope, seen) for scope in resource.scope_metrics],
                resource.schema_url,
            )
            for resource in data.resource_metrics
        ]
        # A series that disappears and comes back starts anew.
        self._starts = seen
        self._last_collection, self._last_monotonic = time_ns(), monotonic_ns()
        return MetricsData(resources)

    def _scope(self, scope: ScopeMetrics, seen: dict[_SeriesKey, int]) -> ScopeMetrics:
        metrics = [self._metric(scope.scope.name, metric, seen) for metric in scope.metrics]
        return ScopeMetrics(scope.scope, metrics, scope.schema_url)

    def _metric(self, scope: str, metric: Metric, seen: dict[_SeriesKey, int]) -> Metric:
        data: Any = metric.data
        if isinstance(data, Gauge):
            return metric
        if _counts_from_its_start(data):
            points = [self._point(scope, metric.name, point, seen) for point in data.data_points]
        else:
            points = [self._valid(point, point.start_time_unix_nano) for point in data.data_points]
        return replace(metric, data=replace(data, data_points=points))

    def _point(self, scope: str, name: str, point: _Point, seen: dict[_SeriesKey, int]) -> Any:
        key = (scope, name, _identity(point.attributes or {}))
        start = self._starts.get(key) or self._last_collection or point.start_time_unix_nano
        valid = self._valid(point, start)
        seen[key] = valid.start_time_unix_nano
        return valid

    def _valid(self, point: Any, start: int) -> Any:
        if start > point.time_unix_nano:
            # The clock was set back since; or two collections overlap, as at shutdown.
            start = min(start + self._set_by, point.time_unix_nano)
        return point if start == point.start_time_unix_nano else replace(point, start_time_unix_nano=start)


def _counts_from_its_start(data: Any) -> bool:
    monotonic = isinstance(data, Histogram) or (isinstance(data, Sum) and data.is_monotonic)
    return monotonic and data.aggregation_temporality is AggregationTemporality.CUMULATIVE


def _identity(attributes: Mapping[str, object]) -> Hashable:
    items = tuple(sorted(attributes.items()))
    try:
        hash(items)
    except TypeError:  # a value is a mapping
        return repr(items)
    return items
