"""Push: a periodic reader whose counters begin where they were still 0."""

from __future__ import annotations

import os
from dataclasses import replace
from time import time_ns
from typing import Any, cast

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
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

_Point = NumberDataPoint | HistogramDataPoint
_SeriesKey = tuple[str, str, tuple[tuple[str, object], ...]]


class PeriodicReader(PeriodicExportingMetricReader):
    """Gives each new cumulative series the time of the collection before as its start.

    SDK 1.45.1 lets an observed series begin at its first observation, when it is not 0 any more, so that `increase()`
    over its first event is 0. At the collection before, it did not exist: that is when it was 0, and Prometheus writes
    a 0 at that time (`created-timestamp-zero-ingestion`). Every version and kind of series is treated alike.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._starts = SeriesStarts()
        super().__init__(*args, **kwargs)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        super()._receive_metrics(self._starts.applied(metrics_data), timeout_millis, **kwargs)


class SeriesStarts:
    """Remembers when each cumulative series began."""

    def __init__(self) -> None:
        self._starts: dict[_SeriesKey, int] = {}
        self._collected: int | None = None
        self._process = os.getpid()

    def applied(self, data: MetricsData) -> MetricsData:
        """A copy of the data with the start of each series put right."""
        if self._process != os.getpid():
            # The series of a forked process are not those of its parent.
            self._process, self._starts, self._collected = os.getpid(), {}, None
        seen: dict[_SeriesKey, int] = {}
        resources = [
            ResourceMetrics(
                resource.resource,
                [self._scope(scope, seen) for scope in resource.scope_metrics],
                resource.schema_url,
            )
            for resource in data.resource_metrics
        ]
        # What is not seen any more is forgotten: if it comes back, it begins anew.
        self._starts = seen
        self._collected = time_ns()
        return MetricsData(resources)

    def _scope(self, scope: ScopeMetrics, seen: dict[_SeriesKey, int]) -> ScopeMetrics:
        metrics = [self._metric(scope.scope.name, metric, seen) for metric in scope.metrics]
        return ScopeMetrics(scope.scope, metrics, scope.schema_url)

    def _metric(self, scope: str, metric: Metric, seen: dict[_SeriesKey, int]) -> Metric:
        data = metric.data
        if not isinstance(data, (Histogram, Sum)) or (isinstance(data, Sum) and not data.is_monotonic):
            return metric
        if data.aggregation_temporality is not AggregationTemporality.CUMULATIVE:
            return metric
        points: Any = [self._point(scope, metric.name, point, seen) for point in data.data_points]
        return replace(metric, data=replace(cast(Any, data), data_points=points))

    def _point(self, scope: str, name: str, point: _Point, seen: dict[_SeriesKey, int]) -> _Point:
        key = (scope, name, tuple(sorted((point.attributes or {}).items())))
        start = self._starts.get(key) or self._collected or point.start_time_unix_nano
        # Two collections may end in the other order than they began, as at a shutdown.
        start = min(start, point.time_unix_nano)
        seen[key] = start
        return replace(point, start_time_unix_nano=start)
