"""Collected metrics as JSON, and their sum over several processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from trust_otel.recording.data_points import SCOPE
from trust_otel.recording.shared_cells import SharedSeries
from trust_otel.semconv.metrics import ALL as ALL_METRICS
from trust_otel.semconv.metrics import (
    TRUST_DEPENDENCY_UP,
    TRUST_OTEL_INSTANCE_UP,
    TRUST_OTEL_SOURCE_LAST_READ,
    TRUST_OTEL_SOURCE_UP,
)

Point = NumberDataPoint | HistogramDataPoint
Labels = tuple[tuple[str, Any], ...]

_OF_EACH_PROCESS: Final = ("process.", "cpython.", TRUST_OTEL_INSTANCE_UP.name)
_LOWEST: Final = frozenset(
    metric.name for metric in (TRUST_DEPENDENCY_UP, TRUST_OTEL_SOURCE_UP, TRUST_OTEL_SOURCE_LAST_READ)
)
"""Gauges of which the lowest value counts: a dependency is down if one process cannot reach it."""

_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE


@dataclass(frozen=True)
class Family:
    """A metric without its series."""

    scope: InstrumentationScope
    name: str
    description: str
    unit: str
    kind: str
    """`counter`, `updowncounter`, `gauge` or `histogram`."""

    @property
    def adds_up(self) -> bool:
        """Whether a process that has ended still counts."""
        return self.kind in ("counter", "histogram")

    @property
    def of_each_process(self) -> bool:
        """Whether each process has series of its own: also for a gauge of which nothing says how to combine it."""
        return self.name.startswith(_OF_EACH_PROCESS) or (self.kind == "gauge" and self.name not in ALL_METRICS)


@dataclass
class Snapshot:
    """What one process collected, or the sum of several."""

    resource: Resource
    series: dict[Family, dict[Labels, Point]] = field(default_factory=dict)

    def add(self, other: Snapshot, wanted: Callable[[Family], bool] = lambda _: True) -> None:
        """Add the series of another process."""
        for family, points in other.series.items():
            if wanted(family):
                mine = self.series.setdefault(family, {})
                for labels, point in points.items():
                    known = mine.get(labels)
                    mine[labels] = point if known is None else _combined(family, known, point)

    def only(self, wanted: Callable[[Family], bool]) -> Snapshot:
        """The series of some metrics."""
        return Snapshot(self.resource, {family: points for family, points in self.series.items() if wanted(family)})


def _combined(family: Family, one: Any, other: Any) -> Any:
    time = max(one.time_unix_nano, other.time_unix_nano)
    if family.kind == "gauge":
        value = min(one.value, other.value) if family.name in _LOWEST else max(one.value, other.value)
        return replace(one, time_unix_nano=time, value=value)
    start = min(one.start_time_unix_nano, other.start_time_unix_nano)
    if family.kind == "histogram":
        if tuple(one.explicit_bounds) != tuple(other.explicit_bounds):
            return one  # a program has buckets of its own in one process
        return replace(
            one,
            start_time_unix_nano=start,
            time_unix_nano=time,
            count=one.count + other.count,
            sum=one.sum + other.sum,
            bucket_counts=tuple(map(sum, zip(one.bucket_counts, other.bucket_counts, strict=True))),
            min=min(one.min, other.min),
            max=max(one.max, other.max),
            exemplars=[*one.exemplars, *other.exemplars],
        )
    return replace(one, start_time_unix_nano=start, time_unix_nano=time, value=one.value + other.value)


def snapshot_of(data: MetricsData) -> Snapshot:
    """What a reader collected, without exponential histograms, which the endpoint does not support."""
    taken = Snapshot(data.resource_metrics[0].resource if data.resource_metrics else Resource.get_empty())
    for scope in (scope for each in data.resource_metrics for scope in each.scope_metrics):
        for metric in scope.metrics:
            kind = _kind(metric.data)
            if kind is not None:
                family = Family(scope.scope, metric.name, metric.description or "", metric.unit or "", kind)
                points: Iterable[Any] = metric.data.data_points
                taken.series[family] = {_identity(point.attributes): point for point in points}
    return taken


def _kind(data: object) -> str | None:
    if isinstance(data, Histogram):
        return "histogram"
    if isinstance(data, Sum):
        return "counter" if data.is_monotonic else "updowncounter"
    return "gauge" if isinstance(data, Gauge) else None


def _identity(attributes: Mapping[str, Any] | None) -> Labels:
    return tuple(sorted((attributes or {}).items()))


def resource_metrics(snapshot: Snapshot) -> ResourceMetrics:
    """The same in the classes of the SDK."""
    scopes: dict[InstrumentationScope, list[Metric]] = {}
    for family, points in snapshot.series.items():
        metric = Metric(family.name, family.description, family.unit, _data(family.kind, list(points.values())))
        scopes.setdefault(family.scope, []).append(metric)
    return ResourceMetrics(
        snapshot.resource,
        [ScopeMetrics(scope, metrics, scope.schema_url or "") for scope, metrics in scopes.items()],
        snapshot.resource.schema_url,
    )


def _data(kind: str, points: list[Any]) -> Histogram | Sum | Gauge:
    if kind == "histogram":
        return Histogram(points, _CUMULATIVE)
    return Gauge(points) if kind == "gauge" else Sum(points, _CUMULATIVE, kind == "counter")


def to_json(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot for `json.dumps`."""
    return {
        "resource": [dict(snapshot.resource.attributes), snapshot.resource.schema_url],
        "series": [
            [
                [family.scope.name, family.scope.version, family.scope.schema_url],
                [family.name, family.description, family.unit, family.kind],
                [_point_to_json(point) for point in points.values()],
            ]
            for family, points in snapshot.series.items()
        ],
    }


def _point_to_json(point: Any) -> list[Any]:
    common = [dict(point.attributes or {}), point.start_time_unix_nano, point.time_unix_nano]
    exemplars = [
        [dict(each.filtered_attributes), each.value, each.time_unix_nano, each.span_id, each.trace_id]
        for each in point.exemplars
    ]
    if isinstance(point, HistogramDataPoint):
        numbers = [point.count, point.sum, list(point.bucket_counts), list(point.explicit_bounds), point.min, point.max]
        return [*common, *numbers, exemplars]
    return [*common, point.value, exemplars]


def from_json(content: Any) -> Snapshot:
    """The snapshot that `to_json` converted."""
    attributes, schema_url = content["resource"]
    taken = Snapshot(Resource(attributes, schema_url))
    for scope, (name, description, unit, kind), points in content["series"]:
        family = Family(InstrumentationScope(*scope), name, description, unit, kind)
        made = [_point_from_json(kind, values) for values in points]
        taken.series[family] = {_identity(point.attributes): point for point in made}
    return taken


def _point_from_json(kind: str, values: list[Any]) -> Point:
    make: Any = HistogramDataPoint if kind == "histogram" else NumberDataPoint
    *numbers, exemplars = values
    point: Point = make(*numbers, [Exemplar(*each) for each in exemplars])
    return point


def snapshot_of_cells(resource: Resource, series: Iterable[SharedSeries], time_unix_nano: int) -> Snapshot:
    """The counters and histograms in the file of a process, which may have been killed."""
    taken = Snapshot(resource)
    for each in series:
        metric = ALL_METRICS[each.metric]
        family = Family(SCOPE, metric.name, metric.brief, metric.unit, metric.instrument)
        # If the clock was set back since.
        start = min(each.start_time_unix_nano, time_unix_nano)
        point: Point
        if metric.instrument == "histogram":
            *counts, total = each.numbers
            point = HistogramDataPoint(
                each.labels, start, time_unix_nano, int(sum(counts)), total,
                [int(count) for count in counts], metric.buckets, 0, 0,
            )  # fmt: skip
            if not point.count:
                continue
        else:
            (value,) = each.numbers
            point = NumberDataPoint(each.labels, start, time_unix_nano, value)
        taken.series.setdefault(family, {})[_identity(each.labels)] = point
    return taken


def dumps(snapshot: Snapshot) -> bytes:
    """A snapshot as JSON text."""
    return json.dumps(to_json(snapshot), default=str).encode()


def loads(text: bytes) -> Snapshot:
    """The snapshot of a JSON text."""
    return from_json(json.loads(text))
