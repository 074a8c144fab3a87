"""The start time of series that are exported periodically."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics._internal import _view_instrument_match, metric_reader_storage
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)

from trust_otel.export import clock, periodic
from trust_otel.export.periodic import PeriodicReader, SeriesStarts


class Collected:
    """Collections with corrected start times, and the original ones."""

    def __init__(self, temporality: AggregationTemporality) -> None:
        self._reader = InMemoryMetricReader(preferred_temporality=dict.fromkeys((Counter, Histogram), temporality))
        self.provider = MeterProvider([self._reader], shutdown_on_exit=False)
        self.meter = self.provider.get_meter("test")
        self._starts = SeriesStarts()

    def collect(self) -> tuple[MetricsData, MetricsData]:
        original = self._reader.get_metrics_data()
        assert original is not None
        return self._starts.apply(original), original

    def points(self, name: str = "c") -> dict[Any, Any]:
        """The points of a metric by the value of their attribute `a`."""
        return _points(self.collect()[0], name)


def _points(data: MetricsData, name: str) -> dict[Any, Any]:
    return {
        (point.attributes or {}).get("a"): point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
    }


@pytest.fixture
def cumulative() -> Iterator[Collected]:
    collected = Collected(AggregationTemporality.CUMULATIVE)
    yield collected
    collected.provider.shutdown()


def test_series_of_the_first_collection_starts_at_its_creation(cumulative: Collected) -> None:
    before = time.time_ns()
    cumulative.meter.create_counter("c").add(1)
    point = cumulative.points()[None]
    assert before <= point.start_time_unix_nano < point.time_unix_nano


def test_later_series_starts_at_the_previous_collection(cumulative: Collected) -> None:
    counter = cumulative.meter.create_counter("c")
    counter.add(1, {"a": "first"})
    before = cumulative.points()["first"].time_unix_nano
    after = time.time_ns()
    counter.add(1, {"a": "later"})
    points = cumulative.points()
    assert before <= points["later"].start_time_unix_nano <= after
    assert points["later"].start_time_unix_nano < points["later"].time_unix_nano
    assert points["first"].start_time_unix_nano < before


def test_series_of_the_first_collection_starts_when_it_is_told() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    since = time.time_ns()
    provider.get_meter("test").create_counter("c").add(1)
    data = reader.get_metrics_data()
    assert data is not None
    assert _points(SeriesStarts(since).apply(data), "c")[None].start_time_unix_nano == since
    provider.shutdown()


def test_attribute_that_is_a_mapping_identifies_its_series(cumulative: Collected) -> None:
    counter = cumulative.meter.create_counter("c")
    counter.add(1, {"a": "first", "of": {"b": [1]}})
    start = cumulative.points()["first"].start_time_unix_nano
    counter.add(1, {"a": "first", "of": {"b": [1]}})
    assert cumulative.points()["first"].start_time_unix_nano == start


def test_start_is_constant_while_the_series_exists(cumulative: Collected) -> None:
    counter = cumulative.meter.create_counter("c")
    counter.add(1, {"a": "first"})
    cumulative.collect()
    counter.add(1, {"a": "later"})
    starts = {tuple(point.start_time_unix_nano for point in cumulative.points().values()) for _ in range(5)}
    assert len(starts) == 1


def test_series_that_returns_starts_anew(cumulative: Collected) -> None:
    shown = {"there": True}
    cumulative.meter.create_counter("other").add(1)
    cumulative.meter.create_observable_counter("c", [lambda _: [Observation(5, {"a": "x"})] if shown["there"] else []])
    first = cumulative.points()["x"]
    shown["there"] = False
    assert cumulative.points() == {}
    gone = time.time_ns()
    shown["there"] = True
    again = cumulative.points()["x"]
    assert first.start_time_unix_nano < again.start_time_unix_nano <= gone


def test_histogram_starts_like_a_counter(cumulative: Collected) -> None:
    histogram = cumulative.meter.create_histogram("c")
    cumulative.meter.create_counter("other").add(1)
    cumulative.collect()
    after = time.time_ns()
    histogram.record(1, {"a": "later"})
    point = cumulative.points()["later"]
    assert point.start_time_unix_nano <= after
    assert (point.count, point.sum) == (1, 1)


def test_same_name_and_labels_of_two_libraries_are_two_series(cumulative: Collected) -> None:
    cumulative.meter.create_counter("c").add(1)
    start = cumulative.points()[None].start_time_unix_nano
    cumulative.provider.get_meter("another").create_counter("c").add(1)
    data, _ = cumulative.collect()
    starts = sorted(
        point.start_time_unix_nano
        for scope in data.resource_metrics[0].scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    )
    assert starts[0] == start < starts[1]


def test_up_down_counters_and_gauges_are_unchanged(cumulative: Collected) -> None:
    counter = cumulative.meter.create_up_down_counter("u")
    gauge = cumulative.meter.create_gauge("g")
    for label in ("first", "later"):
        counter.add(1, {"a": label})
        gauge.set(1, {"a": label})
        data, original = cumulative.collect()
        for name in ("u", "g"):
            assert _points(data, name) == _points(original, name)


def test_delta_temporality_is_unchanged() -> None:
    collected = Collected(AggregationTemporality.DELTA)
    counter = collected.meter.create_counter("c")
    for label in ("first", "later"):
        counter.add(1, {"a": label})
        data, original = collected.collect()
        assert data == original
    collected.provider.shutdown()


def test_other_data_is_unchanged(cumulative: Collected) -> None:
    cumulative.meter.create_histogram("c", "s", "text").record(3, {"a": "x"})
    data, original = cumulative.collect()
    assert data == original


def test_attributes_of_any_type_are_distinguished(cumulative: Collected) -> None:
    counter = cumulative.meter.create_counter("c")
    for value in (["x"], ("y", "z"), True, 2.5, "text"):
        counter.add(1, {"a": value, "b": 1})
    for _ in range(2):
        assert len(cumulative.points()) == 5


def test_no_series_starts_after_its_collection(cumulative: Collected) -> None:
    """Even if two collections overlap."""
    starts = SeriesStarts()
    cumulative.meter.create_counter("c").add(1, {"a": "x"})
    _, earlier = cumulative.collect()
    starts.apply(MetricsData([]))
    point = _points(starts.apply(earlier), "c")["x"]
    assert point.start_time_unix_nano <= point.time_unix_nano


_HOUR = 3600 * 10**9


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the system clock, to some nanoseconds ahead of the real one."""
    real = time.time_ns

    def set_to(ahead: int) -> None:
        for module in (periodic, clock, metric_reader_storage, _view_instrument_match):
            monkeypatch.setattr(module, "time_ns", lambda: real() + ahead)

    return set_to


@pytest.mark.parametrize("ahead", [_HOUR, -_HOUR, 2 * 10**9, -2 * 10**9])
@pytest.mark.parametrize("temporality", [AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA])
@pytest.mark.parametrize("kind", ["counter", "up_down_counter", "histogram"])
def test_series_keep_valid_starts_when_the_clock_is_set(
    kind: str, temporality: AggregationTemporality, ahead: int, set_clock: Callable[[int], None]
) -> None:
    collected = Collected(temporality)
    instrument = getattr(collected.meter, f"create_{kind}")("c")
    record = instrument.record if kind == "histogram" else instrument.add
    record(1, {"a": "known"})
    collected.points()
    set_clock(ahead)
    for time_of_recording in ("first", "second"):
        record(1, {"a": "known"})
        record(1, {"a": time_of_recording})
        points = collected.points()
        for point in points.values():
            assert point.start_time_unix_nano < point.time_unix_nano
        # A delta starts where the previous one ended, on the clock of that time.
        if ahead < 0 or temporality is AggregationTemporality.CUMULATIVE:
            of_new = points[time_of_recording]
            assert of_new.time_unix_nano - of_new.start_time_unix_nano < 60 * 10**9
    collected.provider.shutdown()


def test_clock_that_is_slewed_changes_no_start(cumulative: Collected, set_clock: Callable[[int], None]) -> None:
    cumulative.meter.create_counter("c").add(1, {"a": "x"})
    start = cumulative.points()["x"].start_time_unix_nano
    set_clock(10**8)
    assert cumulative.points()["x"].start_time_unix_nano == start


def test_clock_set_forwards_changes_no_known_start(cumulative: Collected, set_clock: Callable[[int], None]) -> None:
    """A later start would mean that the counter was reset, and its value would be counted again."""
    cumulative.meter.create_counter("c").add(1, {"a": "x"})
    start = cumulative.points()["x"].start_time_unix_nano
    set_clock(_HOUR)
    assert cumulative.points()["x"].start_time_unix_nano == start


class _Exporter(MetricExporter):
    def __init__(self) -> None:
        super().__init__()
        self.exported: list[MetricsData] = []

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        self.exported.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        pass


def test_reader_exports_corrected_starts_and_the_last_collection_at_shutdown() -> None:
    exporter = _Exporter()
    reader = PeriodicReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    counter = provider.get_meter("m").create_counter("c")
    for label in ("1", "2", "3"):
        counter.add(1, {"a": label})
        provider.force_flush()
    counter.add(1, {"a": "4"})
    provider.shutdown()
    last = _points(exporter.exported[-1], "c")
    starts = [last[label].start_time_unix_nano for label in ("1", "2", "3", "4")]
    assert all(earlier < later for earlier, later in pairwise(starts))
    assert len(exporter.exported) == 4
