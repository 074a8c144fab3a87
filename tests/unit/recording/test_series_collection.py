"""Readers of the SDK collect our counters and histograms as if the SDK had recorded them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import metrics as metrics_api
from opentelemetry import trace
from opentelemetry.sdk.metrics import (
    AlwaysOffExemplarFilter,
    AlwaysOnExemplarFilter,
    ExemplarFilter,
    Histogram,
    MeterProvider,
    ObservableCounter,
    ObservableUpDownCounter,
    TraceBasedExemplarFilter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader, MetricReader
from opentelemetry.sdk.metrics.view import (
    DropAggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    LastValueAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from trust_otel.configurator import make_views
from trust_otel.recording.instruments import BoundedCounter, BoundedHistogram, Instruments
from trust_otel.semconv.definitions import Metric
from trust_otel.semconv.metrics import (
    ALL,
    HTTP_SERVER_ACTIVE_REQUESTS,
    HTTP_SERVER_REQUEST_DURATION,
    TRUST_REVENUE_AMOUNT,
)
from trust_otel.settings import Settings

_LIMITS = Settings.from_environment({}).limits
_LABELS = {"http.request.method": "GET", "http.route": "/a", "url.scheme": "http", "http.response.status_code": 200}
_SAMPLED = SpanContext(trace_id=7, span_id=5, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
_UNSAMPLED = SpanContext(trace_id=8, span_id=6, is_remote=False)


def _provider(*readers: MetricReader, views: Any = (), exemplar_filter: ExemplarFilter | None = None) -> MeterProvider:
    return MeterProvider(readers, Resource({}), exemplar_filter, shutdown_on_exit=False, views=views)


def _histogram(provider: MeterProvider | None) -> BoundedHistogram:
    return Instruments(_LIMITS, provider).histogram(HTTP_SERVER_REQUEST_DURATION)


def _counter(provider: MeterProvider | None, metric: Metric = TRUST_REVENUE_AMOUNT) -> BoundedCounter:
    instruments = Instruments(_LIMITS, provider)
    return instruments.counter(metric) if metric.instrument == "counter" else instruments.up_down_counter(metric)


def _points(reader: InMemoryMetricReader, name: str = HTTP_SERVER_REQUEST_DURATION.name) -> list[Any]:
    data = reader.get_metrics_data()
    return [
        point
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
    ]


def _content(points: list[Any]) -> list[Any]:
    return [
        (
            dict(p.attributes),
            p.count,
            pytest.approx(p.sum),
            tuple(p.bucket_counts),
            tuple(p.explicit_bounds),
            p.min,
            p.max,
        )
        for p in points
    ]


@pytest.mark.parametrize("views", [(), make_views(ALL.values(), _LIMITS)], ids=["no views", "our views"])
def test_points_are_those_of_the_sdk(views: Any) -> None:
    ours, of_sdk = InMemoryMetricReader(), InMemoryMetricReader()
    histogram, sdk_histogram = _histogram(_provider(ours, views=views)), _histogram(_provider(of_sdk, views=views))
    sdk_histogram.record_in_sdk()
    rng = random.Random(1)
    for _ in range(3):
        for _ in range(200):
            amount = rng.choice((0, 0.005, 1, rng.expovariate(10)))
            labels = {**_LABELS, "http.route": rng.choice(("/a", "/b"))}
            histogram(amount, labels)
            sdk_histogram(amount, labels)
        assert _content(_points(ours)) == _content(_points(of_sdk)) != []


def test_metric_scope_and_resource_are_those_of_the_sdk() -> None:
    ours, of_sdk = InMemoryMetricReader(), InMemoryMetricReader()
    histogram, sdk_histogram = _histogram(_provider(ours)), _histogram(_provider(of_sdk))
    sdk_histogram.record_in_sdk()
    for each in (histogram, sdk_histogram):
        each(1, _LABELS)

    def described(reader: InMemoryMetricReader) -> Any:
        data = reader.get_metrics_data()
        assert data is not None
        (resource,) = data.resource_metrics
        (scope,) = resource.scope_metrics
        metrics = sorted((each.name, each.description, each.unit, type(each.data)) for each in scope.metrics)
        return resource.resource, scope.scope, scope.schema_url, metrics

    assert described(ours) == described(of_sdk)


@pytest.mark.parametrize("views", [(), make_views(ALL.values(), _LIMITS)], ids=["no views", "our views"])
@pytest.mark.parametrize(
    ("metric", "labels", "amounts"),
    [
        (TRUST_REVENUE_AMOUNT, [{"trust.currency": code} for code in ("EUR", "USD", "wrong")], (0, 3, 0.25, 2**52)),
        (HTTP_SERVER_ACTIVE_REQUESTS, [{"http.request.method": name} for name in ("GET", "PUT")], (1, -1, -2.5)),
    ],
    ids=["counter", "up-down counter"],
)
def test_sums_are_those_of_the_sdk(
    views: Any, metric: Metric, labels: list[dict[str, str]], amounts: tuple[float, ...]
) -> None:
    ours, of_sdk = InMemoryMetricReader(), InMemoryMetricReader()
    counter, sdk_counter = (_counter(_provider(each, views=views), metric) for each in (ours, of_sdk))
    sdk_counter.record_in_sdk()
    rng = random.Random(1)

    def collected(reader: InMemoryMetricReader) -> Any:
        data = reader.get_metrics_data()
        assert data is not None
        found: Any
        (found,) = [
            each
            for scope in data.resource_metrics[0].scope_metrics
            for each in scope.metrics
            if each.name == metric.name and scope.scope.name == "trust_otel"
        ]
        points = {tuple(sorted(dict(each.attributes).items())): each for each in found.data.data_points}
        assert len(points) == len(found.data.data_points)
        values = {key: (each.value, type(each.value), list(each.exemplars)) for key, each in points.items()}
        kind = (type(found.data), found.data.is_monotonic, found.data.aggregation_temporality)
        return found.description, found.unit, kind, values

    assert (counter.series(), sdk_counter.series()) == ([], [])
    for _ in range(3):
        for _ in range(20):
            amount, attributes = rng.choice(amounts), rng.choice(labels)
            counter(amount, attributes)
            sdk_counter(amount, attributes)
        assert collected(ours) == collected(of_sdk)
    assert len(counter.series()) == len(labels)
    assert sdk_counter.series() == []


def test_sum_has_the_start_of_its_series() -> None:
    """Otherwise `increase()` misses the first event."""
    reader = InMemoryMetricReader()
    counter = _counter(_provider(reader))
    _points(reader)
    counter(1)
    (series,) = counter.series()
    starts = [point.start_time_unix_nano for _ in range(2) for point in _points(reader, TRUST_REVENUE_AMOUNT.name)]
    assert starts == [series.start_time_unix_nano] * 2
    counter.restart_in_child()
    assert series.start_time_unix_nano > starts[0]


@pytest.mark.parametrize(
    ("reader", "views", "exemplar_filter", "expected"),
    [
        (InMemoryMetricReader({ObservableCounter: AggregationTemporality.DELTA}), (), None, [{"EUR": 3}, {"EUR": 0}]),
        (InMemoryMetricReader(), [View(instrument_name="trust.*", attribute_keys=set())], None, [{None: 3}] * 2),
        (InMemoryMetricReader(), [View(instrument_name=TRUST_REVENUE_AMOUNT.name, name="money")], None, [{}, {}]),
        (
            InMemoryMetricReader(),
            [View(instrument_type=ObservableCounter, aggregation=DropAggregation())],
            None,
            [{}, {}],
        ),
        (
            InMemoryMetricReader(preferred_aggregation={ObservableCounter: LastValueAggregation()}),
            (),
            None,
            [{"EUR": 3}] * 2,
        ),
        (InMemoryMetricReader(), (), AlwaysOnExemplarFilter(), [{"EUR": 3}] * 2),
    ],
    ids=["delta", "view of attributes", "view of the name", "dropped", "gauge", "exemplars of sums"],
)
def test_sums_that_the_program_configures_are_left_to_the_sdk(
    reader: InMemoryMetricReader, views: Any, exemplar_filter: ExemplarFilter | None, expected: Any
) -> None:
    counter = _counter(_provider(reader, InMemoryMetricReader(), views=views, exemplar_filter=exemplar_filter))
    counter(3, {"trust.currency": "EUR"})
    assert counter.series() == []
    for values in expected:
        points = _points(reader, TRUST_REVENUE_AMOUNT.name)
        assert {point.attributes.get("trust.currency"): point.value for point in points} == values


def test_temporality_of_other_kinds_changes_nothing() -> None:
    delta = AggregationTemporality.DELTA
    reader = InMemoryMetricReader({Histogram: delta, ObservableUpDownCounter: delta})
    counter = _counter(_provider(reader))
    counter(3)
    assert len(counter.series()) == 1
    assert [point.value for point in _points(reader, TRUST_REVENUE_AMOUNT.name)] == [3]


@pytest.mark.parametrize(
    ("reader", "views"),
    [
        (InMemoryMetricReader({Histogram: AggregationTemporality.DELTA}), ()),
        (InMemoryMetricReader(preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()}), ()),
        (InMemoryMetricReader(preferred_aggregation={Histogram: ExplicitBucketHistogramAggregation((1,))}), ()),
        (InMemoryMetricReader(), [View(instrument_name="http.*", attribute_keys={"http.route"})]),
        (
            InMemoryMetricReader(),
            [View(instrument_type=Histogram, aggregation=ExplicitBucketHistogramAggregation((1,)))],
        ),
    ],
    ids=["delta", "exponential", "other buckets", "view of attributes", "view of buckets"],
)
def test_what_the_program_configures_is_left_to_the_sdk(reader: InMemoryMetricReader, views: Any) -> None:
    histogram = _histogram(_provider(reader, InMemoryMetricReader(), views=views))
    histogram(2, _LABELS)
    assert histogram.series() == []
    (point,) = _points(reader)
    assert point.count == 1


class _OwnFilter(ExemplarFilter):
    def should_sample(self, *_: Any) -> bool:
        return True


def test_exemplar_filter_of_the_program_is_left_to_the_sdk() -> None:
    reader = InMemoryMetricReader()
    _histogram(_provider(reader, exemplar_filter=_OwnFilter()))(2, _LABELS)
    (point,) = _points(reader)
    assert [exemplar.value for exemplar in point.exemplars] == [2]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trust_otel.recording.data_points.get_tracer_provider", lambda: TracerProvider(ALWAYS_OFF))


@pytest.mark.usefixtures("spans")
@pytest.mark.parametrize(
    ("exemplar_filter", "expected"),
    [
        (AlwaysOffExemplarFilter(), []),
        (TraceBasedExemplarFilter(), [(1, 7, 5)]),
        (AlwaysOnExemplarFilter(), [(0.001, None, None), (0.2, 8, 6), (1, 7, 5)]),
    ],
    ids=["off", "trace based", "on"],
)
@pytest.mark.parametrize("in_sdk", [False, True])
def test_exemplars_are_those_of_the_sdk(exemplar_filter: ExemplarFilter, expected: Any, in_sdk: bool) -> None:
    reader = InMemoryMetricReader()
    histogram = _histogram(_provider(reader, exemplar_filter=exemplar_filter))
    if in_sdk:
        histogram.record_in_sdk()
    histogram(0.001, _LABELS)
    with use_span(NonRecordingSpan(_UNSAMPLED)):
        histogram(0.2, _LABELS)
    with use_span(NonRecordingSpan(_SAMPLED)):
        histogram(0.9, _LABELS)
        histogram(1, _LABELS)
    (point,) = _points(reader)
    assert [(each.value, each.trace_id, each.span_id) for each in point.exemplars] == expected
    assert {tuple(each.filtered_attributes or ()) for each in point.exemplars} <= {()}
    (point,) = _points(reader)
    assert point.exemplars == []


def test_each_reader_gets_an_exemplar_once() -> None:
    readers = InMemoryMetricReader(), InMemoryMetricReader()
    histogram = _histogram(_provider(*readers, exemplar_filter=AlwaysOnExemplarFilter()))
    histogram(1, _LABELS)
    assert [len(_points(reader)[0].exemplars) for reader in (*readers, *readers)] == [1, 1, 0, 0]


def test_reader_that_is_added_later_collects_as_well() -> None:
    provider = _provider(InMemoryMetricReader())
    histogram = _histogram(provider)
    histogram(1, _LABELS)
    late = InMemoryMetricReader()
    provider.add_metric_reader(late)
    assert [point.count for point in _points(late)] == [1]


@pytest.fixture
def no_global_provider(monkeypatch: pytest.MonkeyPatch) -> Callable[[MeterProvider], None]:
    """No global provider until the returned function sets one."""
    current: list[Any] = [metrics_api.NoOpMeterProvider()]
    monkeypatch.setattr("trust_otel.recording.series_collection.get_meter_provider", lambda: current[-1])
    return current.append


def test_measurements_before_the_provider_is_set_are_collected(
    no_global_provider: Callable[[MeterProvider], None],
) -> None:
    reader = InMemoryMetricReader()
    provider = _provider(reader)
    instruments = Instruments(_LIMITS)
    histogram = instruments.histogram(HTTP_SERVER_REQUEST_DURATION)
    histogram(1, _LABELS)
    histogram.instrument = provider.get_meter("trust_otel").create_histogram(HTTP_SERVER_REQUEST_DURATION.name)
    no_global_provider(provider)
    histogram(1, {**_LABELS, "http.route": "/new"})
    assert [point.count for point in _points(reader)] == [1, 1]


def test_sums_before_the_provider_is_set_are_in_each_collection(
    no_global_provider: Callable[[MeterProvider], None],
) -> None:
    reader = InMemoryMetricReader()
    provider = _provider(reader)
    instruments = Instruments(_LIMITS)
    counter = instruments.counter(TRUST_REVENUE_AMOUNT)
    counter(1)
    counter.instrument = provider.get_meter("trust_otel").create_observable_counter(
        TRUST_REVENUE_AMOUNT.name, [counter.observations]
    )
    values = []
    for _ in range(3):
        values += [point.value for point in _points(reader, TRUST_REVENUE_AMOUNT.name)]
        no_global_provider(provider)
        # As the callback of another instrument does.
        instruments._collection.attach()
        counter(1)
    assert values == [1, 2, 3]


def test_collections_at_the_same_time_each_have_all_sums_once() -> None:
    readers = [InMemoryMetricReader() for _ in range(4)]
    counter = _counter(_provider(*readers))
    counter(1)
    found: list[list[float]] = []

    def collect(reader: InMemoryMetricReader) -> None:
        for _ in range(20):
            found.append([point.value for point in _points(reader, TRUST_REVENUE_AMOUNT.name)])

    threads = [threading.Thread(target=collect, args=(reader,)) for reader in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[1]] * 80


def test_failing_collection_leaves_that_of_the_sdk(recording: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError

    histogram = recording.recorder.instruments.histogram(HTTP_SERVER_REQUEST_DURATION)
    histogram(1, _LABELS)
    monkeypatch.setattr("trust_otel.recording.data_points.metric_of", fail)
    assert recording.names() > {"trust.otel.instance.up"}
    assert recording.dropped() == {"internal_error": 1}


def test_tracer_provider_of_the_api_has_no_shutdown() -> None:
    """Collection relies on it to recognize that spans are not recorded."""
    assert not hasattr(trace.ProxyTracerProvider(), "shutdown")
    assert not hasattr(metrics_api.NoOpMeterProvider(), "shutdown")
