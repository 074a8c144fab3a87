"""Views: the buckets and attributes of the registry, also for instruments of other libraries."""

from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics._internal import _disable_meter_configurator
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import Aggregation, ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource

from trust_otel import sdk_private, settings
from trust_otel.configurator import make_views
from trust_otel.metrics import TrustServiceMetrics, recorder_of
from trust_otel.sdk_private import ExactView
from trust_otel.semconv.metrics import ALL

HISTOGRAMS = [metric for metric in ALL.values() if metric.instrument == "histogram"]


def _points(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    data = reader.get_metrics_data()
    return {
        metric.name: list(metric.data.data_points)
        for resource in (data.resource_metrics if data else [])
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def provider(reader: InMemoryMetricReader) -> Any:
    provider = MeterProvider(
        [reader], views=make_views(ALL.values(), settings.current().limits), shutdown_on_exit=False
    )
    yield provider
    provider.shutdown()


@pytest.mark.parametrize("metric", HISTOGRAMS, ids=lambda metric: metric.name)
def test_histogram_of_another_library_has_the_declared_buckets_and_attributes(
    provider: MeterProvider, reader: InMemoryMetricReader, metric: Any
) -> None:
    histogram = provider.get_meter("another").create_histogram(
        metric.name, metric.unit, explicit_bucket_boundaries_advisory=[1, 2]
    )
    declared = {attribute.name: "x" for attribute in metric.attributes}
    histogram.record(1, {**declared, "user.id": "42", "http.target": "/a?token=secret"})
    (point,) = _points(reader)[metric.name]
    assert tuple(point.explicit_bounds) == metric.buckets
    assert dict(point.attributes) == declared


def test_observable_counter_of_another_library_has_only_declared_attributes(
    provider: MeterProvider, reader: InMemoryMetricReader
) -> None:
    provider.get_meter("another").create_observable_counter(
        "process.cpu.time", [lambda _: [Observation(1, {"type": "user", "pid": 7})]]
    )
    (point,) = _points(reader)["process.cpu.time"]
    assert dict(point.attributes) == {"type": "user"}


def test_undeclared_metric_is_unchanged(provider: MeterProvider, reader: InMemoryMetricReader) -> None:
    provider.get_meter("another").create_histogram("own.histogram").record(1, {"a": "b"})
    (point,) = _points(reader)["own.histogram"]
    assert dict(point.attributes) == {"a": "b"}


@pytest.mark.parametrize("limit", ["10", "1500"])
def test_limit_of_the_sdk_is_above_the_setting(
    monkeypatch: pytest.MonkeyPatch, reader: InMemoryMetricReader, limit: str
) -> None:
    from trust_otel import TrustServiceMetrics, settings

    monkeypatch.setenv("TRUST_OTEL_CARDINALITY_LIMIT", limit)
    provider = MeterProvider(
        [reader], views=make_views(ALL.values(), settings.current().limits), shutdown_on_exit=False
    )
    metrics = TrustServiceMetrics(provider)
    assert recorder_of(metrics).instruments.limits.label_sets == settings.current().cardinality_limit == int(limit)
    sent = int(limit) * 2
    for number in range(sent):
        metrics.record_compliance_check(framework=f"f{number % 19}", control=f"c{number // 19}", passed=number % 2 == 0)
        recorder_of(metrics).database.record_database_operation(
            system=f"s{number % 19}", namespace=f"n{number % 48}", operation=("SELECT", "SET")[number % 2], duration=0.1
        )
    points = _points(reader)
    for name in ("trust.compliance.checks", "db.client.operation.duration"):
        counts = [getattr(point, "count", None) or point.value for point in points[name]]
        assert sum(counts) == sent
        assert not any("otel.metric.overflow" in point.attributes for point in points[name])
        assert len(points[name]) <= int(limit) + 20
    provider.shutdown()


def test_a_view_selects_no_instrument_whose_name_only_begins_like_its_own(
    provider: MeterProvider, reader: InMemoryMetricReader
) -> None:
    provider.get_meter("another").create_counter("process.cpu.time.other").add(1, {"pid": 7})
    (point,) = _points(reader)["process.cpu.time.other"]
    assert dict(point.attributes) == {"pid": 7}


def test_the_sdk_asks_our_views_whether_they_match(reader: InMemoryMetricReader) -> None:
    asked: list[str] = []

    class RecordingView(ExactView):
        def _match(self, instrument: Any) -> bool:
            asked.append(instrument.name)
            return super()._match(instrument)

    provider = MeterProvider([reader], views=[RecordingView("a.metric")], shutdown_on_exit=False)
    provider.get_meter("another").create_counter("a.metric").add(1)
    provider.shutdown()
    assert "a.metric" in asked


def test_without_fixed_buckets_a_reader_decides() -> None:
    aggregation: dict[type, Aggregation] = {Histogram: ExponentialBucketHistogramAggregation()}
    reader = InMemoryMetricReader(preferred_aggregation=aggregation)
    views = make_views(ALL.values(), settings.current().limits, fixed_buckets=False)
    provider = MeterProvider([reader], views=views, shutdown_on_exit=False)
    metrics = TrustServiceMetrics(provider)
    metrics.http_request_metrics(route="/a", method="GET")(lambda: None)()
    (point,) = _points(reader)["http.server.request.duration"]
    assert point.count == 1
    assert hasattr(point, "scale")
    provider.shutdown()


@pytest.mark.parametrize(
    ("name", "recorded", "logged"), [("", True, False), ("nothing", False, False), ("unknown", True, True)]
)
def test_meter_configurator_decides_what_is_recorded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, recorded: bool, logged: bool
) -> None:
    entry_point = SimpleNamespace(load=lambda: _disable_meter_configurator)
    installed = {("_opentelemetry_meter_configurator", "nothing"): [entry_point]}
    monkeypatch.setattr(sdk_private, "entry_points", lambda group, name: installed.get((group, name), []))
    monkeypatch.setenv("OTEL_PYTHON_METER_CONFIGURATOR", name)
    reader = InMemoryMetricReader()
    provider = sdk_private.make_meter_provider(
        [reader], Resource({}), make_views(ALL.values(), settings.current().limits)
    )
    metrics = TrustServiceMetrics(provider)
    metrics.record_audit_event("read")
    metrics.http_request_metrics(route="/a", method="GET")(lambda: None)()
    assert ({"trust.audit.events", "http.server.request.duration"} <= _points(reader).keys()) is recorded
    assert bool(_points(reader)) is recorded
    assert ("OTEL_PYTHON_METER_CONFIGURATOR" in caplog.text) is logged
    provider.shutdown()
