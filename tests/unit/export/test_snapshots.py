"""Metrics of several processes are added up by the rule of each metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.metrics import Meter, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from trust_otel.export.snapshots import (
    Snapshot,
    dumps,
    loads,
    resource_metrics,
    snapshot_of,
    snapshot_of_cells,
)
from trust_otel.recording.shared_cells import SharedSeries


def _taken(record: Callable[[Meter], object]) -> Snapshot:
    """What a process collects that records this."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], Resource({"service.name": "test"}), shutdown_on_exit=False)
    record(provider.get_meter("m", "1", "schema"))
    data = reader.get_metrics_data()
    provider.shutdown()
    assert data is not None
    return snapshot_of(data)


def _gauge(name: str, value: float) -> Callable[[Meter], object]:
    return lambda meter: meter.create_observable_gauge(name, [lambda _: [Observation(value, {"a": "b"})]])


def _values(snapshot: Snapshot) -> list[Any]:
    return [
        (tuple(point.bucket_counts), point.sum, point.count) if isinstance(point, HistogramDataPoint) else point.value
        for points in snapshot.series.values()
        for point in points.values()
    ]


def _record_all(meter: Meter) -> None:
    meter.create_counter("counter", "s", "text").add(2, {"n": 1, "s": "ü", "b": True, "f": 0.5})
    meter.create_up_down_counter("up").add(-1)
    meter.create_histogram("histogram", explicit_bucket_boundaries_advisory=[1, 2]).record(1.5, {"a": "b"})
    meter.create_observable_gauge("gauge", [lambda _: [Observation(1.25)]])


def test_json_keeps_everything() -> None:
    taken = _taken(_record_all)
    again = loads(dumps(taken))
    assert dumps(again) == dumps(taken)
    assert (again.resource, again.series.keys()) == (taken.resource, taken.series.keys())
    assert len(taken.series) == 4


def test_metrics_of_the_sdk_are_those_that_were_collected() -> None:
    taken = _taken(_record_all)
    (scope,) = resource_metrics(loads(dumps(taken))).scope_metrics
    assert (scope.scope.name, scope.scope.version, scope.schema_url) == ("m", "1", "schema")
    assert [metric.name for metric in scope.metrics] == ["counter", "up", "histogram", "gauge"]


@pytest.mark.parametrize(
    ("one", "other", "sums"),
    [
        (lambda m: m.create_counter("c").add(1), lambda m: m.create_counter("c").add(2), [3]),
        (lambda m: m.create_counter("c").add(1, {"a": 1}), lambda m: m.create_counter("c").add(2, {"a": 2}), [1, 2]),
        (lambda m: m.create_up_down_counter("c").add(5), lambda m: m.create_up_down_counter("c").add(-2), [3]),
        (
            lambda m: m.create_histogram("h", explicit_bucket_boundaries_advisory=[1]).record(1),
            lambda m: m.create_histogram("h", explicit_bucket_boundaries_advisory=[1]).record(3),
            [((1, 1), 4, 2)],
        ),
        (_gauge("trust.certificate.not_after", 5), _gauge("trust.certificate.not_after", 7), [7]),
        (_gauge("trust.dependency.up", 1), _gauge("trust.dependency.up", 0), [0]),
        (_gauge("trust.otel.source.up", 0), _gauge("trust.otel.source.up", 1), [0]),
    ],
)
def test_combined(one: Callable[[Meter], object], other: Callable[[Meter], object], sums: list[Any]) -> None:
    total = Snapshot(Resource({}))
    total.add(_taken(one))
    total.add(_taken(other))
    assert _values(total) == sums


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("process.cpu.time", True),
        ("cpython.gc.collections", True),
        ("trust.otel.instance.up", True),
        ("temperature", True),
        ("trust.certificate.not_after", False),
        ("trust.sla.objective", False),
    ],
)
def test_series_of_each_process(name: str, own: bool) -> None:
    (family,) = _taken(_gauge(name, 1)).series
    assert family.of_each_process is own


def test_what_ended_processes_leave() -> None:
    kinds = {family.kind: family.adds_up for family in _taken(_record_all).series}
    assert kinds == {"counter": True, "updowncounter": False, "histogram": True, "gauge": False}


def test_cells_are_added_to_what_the_sdk_collects() -> None:
    cells = [
        SharedSeries("trust.audit.events", {"trust.audit.action": "read"}, 1, (3.0,)),
        SharedSeries("trust.audit.events", {"trust.audit.action": "write"}, 1, (0.0,)),
        SharedSeries("trust.customer.satisfaction", {}, 1, (0.0,) * 6),
    ]
    taken = snapshot_of_cells(Resource({}), cells, 2)
    # A histogram without amounts is not exported by a living process either.
    assert _values(taken) == [3, 0]
    (family,) = taken.series
    assert (family.scope.name, family.kind) == ("trust_otel", "counter")


def test_cells_of_a_process_do_not_start_in_the_future_when_the_clock_was_set_back() -> None:
    cells = [
        SharedSeries("trust.audit.events", {"trust.audit.action": "read"}, 9, (3.0,)),
        SharedSeries("trust.customer.satisfaction", {}, 9, (1.0,) * 6),
    ]
    taken = snapshot_of_cells(Resource({}), cells, 2)
    starts = [point.start_time_unix_nano for points in taken.series.values() for point in points.values()]
    assert starts == [2, 2]
