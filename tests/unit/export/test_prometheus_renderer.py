"""The text of series: of trust-otel's own, and of what the SDK collected."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

import pytest
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, ExemplarFilter, MeterProvider, TraceBasedExemplarFilter
from opentelemetry.sdk.metrics.view import SumAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from prometheus_client.metrics_core import Metric as ParsedFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample as ParsedSample
from prometheus_client.utils import floatToGoString

from trust_otel.configurator import make_views
from trust_otel.export.prometheus import exposition
from trust_otel.export.prometheus.exposition import OPEN_METRICS, TEXT, Format
from trust_otel.export.prometheus.page import warn_once
from trust_otel.export.prometheus.reader import PrometheusReader
from trust_otel.export.prometheus.renderer import Renderer
from trust_otel.recording import self_metrics, shared_cells
from trust_otel.recording.instruments import BoundedCounter, BoundedHistogram, Instruments
from trust_otel.recording.series import CounterSeries, HistogramSeries, Sample
from trust_otel.recording.series_reader import RecordedFamily, RecordedSeries
from trust_otel.semconv.metrics import (
    ALL,
    HTTP_SERVER_ACTIVE_REQUESTS,
    HTTP_SERVER_REQUEST_DURATION,
    TRUST_CERTIFICATE_OPERATION_DURATION,
    TRUST_FEE_AMOUNT,
    TRUST_REVENUE_AMOUNT,
)
from trust_otel.settings import Settings

_LIMITS = Settings.from_environment({}).limits
_LABELS: Final[Mapping[str, str | int]] = {
    "http.request.method": "GET",
    "http.route": "/a",
    "url.scheme": "http",
    "http.response.status_code": 200,
}
_SPAN = SpanContext(trace_id=7, span_id=5, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
_NAME = "http_server_request_duration_seconds"


class Endpoint:
    """A provider with only the reader of the endpoint, and its instruments."""

    def __init__(self, *views: View, scope_labels: bool = False, exemplar_filter: ExemplarFilter | None = None) -> None:
        self.reader = PrometheusReader("127.0.0.1", 0, scope_labels=scope_labels)
        self.provider = MeterProvider(
            [self.reader],
            Resource({"service.name": "shop"}),
            exemplar_filter or AlwaysOnExemplarFilter(),
            shutdown_on_exit=False,
            views=[*views, *make_views(ALL.values(), _LIMITS)],
        )
        self.instruments = Instruments(_LIMITS, self.provider)
        self.meter = self.provider.get_meter("third.party", "2.1")

    @property
    def duration(self) -> BoundedHistogram:
        return self.instruments.histogram(HTTP_SERVER_REQUEST_DURATION)

    def text(self, format_: Format = TEXT, *names: str) -> str:
        return self.reader.scrape(format_, frozenset(names)).decode()

    def families(self, format_: Format = TEXT, *names: str) -> dict[str, ParsedFamily]:
        parse: Any = parse_open_metrics if format_ is OPEN_METRICS else parse_text
        return {family.name: family for family in parse(self.text(format_, *names))}

    def samples(self, format_: Format = TEXT) -> list[ParsedSample]:
        return [sample for family in self.families(format_).values() for sample in family.samples]

    def sample(self, name: str, format_: Format = TEXT, **labels: str) -> ParsedSample:
        (found,) = [
            sample
            for sample in self.samples(format_)
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return found


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The uptime changes with each collection."""
    monkeypatch.setattr(self_metrics, "monotonic", lambda: 0.0)


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    warn_once.cache_clear()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.provider.shutdown()


class _Counters(Endpoint):
    """An endpoint with a filter that leaves no sums to the SDK, as exemplars."""

    def __init__(self, *views: View, scope_labels: bool = False) -> None:
        super().__init__(*views, scope_labels=scope_labels, exemplar_filter=TraceBasedExemplarFilter())

    @property
    def revenue(self) -> BoundedCounter:
        return self.instruments.counter(TRUST_REVENUE_AMOUNT)

    @property
    def active(self) -> BoundedCounter:
        return self.instruments.up_down_counter(HTTP_SERVER_ACTIVE_REQUESTS)


@pytest.fixture
def counters() -> Iterator[_Counters]:
    made = _Counters()
    yield made
    made.provider.shutdown()


@pytest.fixture(params=[TEXT, OPEN_METRICS], ids=["text", "OpenMetrics"])
def format_(request: pytest.FixtureRequest) -> Format:
    found: Format = request.param
    return found


def _values(samples: list[ParsedSample]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for sample in samples
        if not sample.name.endswith("_created")
    }


def test_series_are_those_that_the_sdk_would_collect(endpoint: Endpoint, format_: Format) -> None:
    of_sdk = Endpoint()
    of_sdk.duration.record_in_sdk()
    for each in (endpoint, of_sdk):
        for amount in (0, 0.005, 0.3, 700):
            each.duration(amount, _LABELS)
            each.duration(amount, {**_LABELS, "http.route": '/"\\\n%s%%'})
    assert endpoint.duration.series() != of_sdk.duration.series() == []
    found = _values(endpoint.samples(format_))
    assert found == _values(of_sdk.samples(format_))
    assert sum(name == f"{_NAME}_count" for name, _ in found) == 2
    of_sdk.provider.shutdown()


@pytest.mark.parametrize("scope_labels", [False, True])
def test_counters_are_those_that_the_sdk_would_collect(format_: Format, scope_labels: bool) -> None:
    ours, of_sdk = (_Counters(scope_labels=scope_labels) for _ in range(2))
    for counter in (of_sdk.revenue, of_sdk.active):
        counter.record_in_sdk()
    for each in (ours, of_sdk):
        for amount in (0, 3, 0.5, 2**53 - 1, 2**53 - 1):
            each.revenue(amount, {"trust.currency": "EUR"})
            each.revenue(1, {"trust.currency": "EUR", "geo.country.iso_code": "DE"})
        each.active(3, {"http.request.method": "GET"})
        each.active(-4, {"http.request.method": "GET", "url.scheme": 'h"t\\p\n%s'})

    def families(endpoint: Endpoint) -> Any:
        found = endpoint.families(format_, "trust_revenue_amount", "http_server_active_requests").values()
        return {(each.name, each.type, each.documentation, each.unit): _values(each.samples) for each in found}

    assert ours.revenue.series() != of_sdk.revenue.series() == []
    assert ours.active.series() != of_sdk.active.series() == []
    assert families(ours) == families(of_sdk)
    assert [len(values) for values in families(ours).values()] == [2, 2]
    for each in (ours, of_sdk):
        each.provider.shutdown()


def test_no_data_points_are_made_of_series(counters: _Counters, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError

    counters.duration(1, _LABELS)
    counters.revenue(2)
    counters.active(3)
    for name in ("metric_of", "NumberDataPoint"):
        monkeypatch.setattr(f"trust_otel.recording.data_points.{name}", fail)
    monkeypatch.setattr("trust_otel.recording.instruments.Observation", fail)
    assert counters.sample(f"{_NAME}_count").value == 1
    assert counters.sample("trust_revenue_amount_total").value == 2
    assert counters.sample("http_server_active_requests").value == 3
    assert counters.sample("trust_otel_dropped_total", reason="internal_error").value == 0


def test_text_of_a_counter_follows_its_changes(counters: _Counters, format_: Format) -> None:
    for amount, expected in ((0, 0), (0, 0), (2.5, 2.5), (1, 3.5), (0, 3.5)):
        counters.revenue(amount)
        assert counters.sample("trust_revenue_amount_total", format_).value == expected
    for amount, expected in ((1, 1), (-1, 0), (-2, -2)):
        counters.active(amount)
        assert counters.sample("http_server_active_requests", format_).value == expected


def test_counter_has_the_start_of_its_series(counters: _Counters) -> None:
    counters.text(OPEN_METRICS)
    for number in range(2):
        counters.revenue(1)
        (series,) = counters.revenue.series()
        for _ in range(2):
            created = counters.sample("trust_revenue_amount_created", OPEN_METRICS).value
            assert created == series.start_time_unix_nano // 10**6 / 1000
            assert counters.sample("trust_revenue_amount_total", OPEN_METRICS).value == 1
        counters.active(1)
        if not number:
            # In a forked process.
            counters.instruments.restart_in_child()
            series.start_time_unix_nano -= 10**9
    assert "_created" not in counters.text()
    assert "active_requests_created" not in counters.text(OPEN_METRICS)


def test_past_the_limit_counters_overflow(counters: _Counters, format_: Format) -> None:
    for number in range(60):
        counters.revenue(1, {"trust.currency": f"{'ABCDEFGHIJ'[number // 10]}{'ABCDEFGHIJ'[number % 10]}X"})
    assert counters.sample("trust_revenue_amount_total", format_, trust_currency="_other").value == 10
    assert len([each for each in counters.samples(format_) if each.name == "trust_revenue_amount_total"]) == 51


def test_counters_that_a_view_changes_are_rendered_as_the_view_says(format_: Format) -> None:
    endpoint = _Counters(
        View(instrument_name=TRUST_REVENUE_AMOUNT.name, attribute_keys={"geo.country.iso_code"}, name="money")
    )
    for currency in ("EUR", "USD"):
        endpoint.revenue(1, {"trust.currency": currency, "geo.country.iso_code": "DE"})
    endpoint.active(1)
    assert endpoint.revenue.series() == []
    assert endpoint.sample("money_total", format_).value == 2
    assert endpoint.sample("http_server_active_requests", format_).value == 1
    endpoint.provider.shutdown()


def test_counters_of_other_libraries_keep_their_exemplars(counters: _Counters) -> None:
    counters.revenue(1)
    with use_span(NonRecordingSpan(_SPAN)):
        counters.meter.create_counter("c").add(2)
    shown = {each.name: each.exemplar.value for each in counters.samples(OPEN_METRICS) if each.exemplar}
    assert shown == {"c_total": 2}


def test_sums_as_exemplars_are_those_of_the_sdk(endpoint: Endpoint) -> None:
    endpoint.instruments.counter(TRUST_REVENUE_AMOUNT)(2)
    found = endpoint.sample("trust_revenue_amount_total", OPEN_METRICS)
    assert (found.value, found.exemplar.value if found.exemplar else None) == (2, 2)


def test_series_in_a_shared_file_are_rendered_like_others(format_: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trust_otel.recording.shared_cells._sharing", shared_cells._Sharing())
    pages = []
    for make in (CounterSeries, partial(shared_cells.SharedCounterSeries, TRUST_REVENUE_AMOUNT)):
        series = make({"trust.currency": "EUR"})
        series.start_time_unix_nano = 10**18
        for amount in (3, 0.5):
            series.add(amount)
            recorded = [RecordedSeries(Resource({}), [RecordedFamily(TRUST_REVENUE_AMOUNT, [series])])]
            pages.append(Renderer(format_, _fail).render(recorded, None))
    assert pages[:2] == pages[2:]
    assert b'trust_revenue_amount_total{trust_currency="EUR"} 3.5\n' in pages[1]


def test_text_of_a_series_follows_its_changes(endpoint: Endpoint, format_: Format) -> None:
    endpoint.duration(0, _LABELS)
    assert endpoint.sample(f"{_NAME}_count", format_).value == 1
    endpoint.duration(0, _LABELS)
    assert endpoint.sample(f"{_NAME}_count", format_).value == 2
    endpoint.duration(0.5, _LABELS)
    assert endpoint.sample(f"{_NAME}_sum", format_).value == 0.5
    assert endpoint.text(format_, _NAME) == endpoint.text(format_, _NAME)


def test_text_is_made_again_only_for_series_that_have_changed(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    fill = exposition.HistogramTemplate.fill

    def counting(self: Any, labels: str, *arguments: Any) -> str:
        made.append(labels)
        return fill(self, labels, *arguments)

    monkeypatch.setattr(exposition.HistogramTemplate, "fill", counting)
    for route in ("/a", "/b"):
        endpoint.duration(1, {**_LABELS, "http.route": route})
    assert endpoint.text() == endpoint.text()
    assert len(made) == 2
    endpoint.duration(1, _LABELS)
    endpoint.text()
    assert len(made) == 3
    assert 'http_route="/a"' in made[-1]


def test_text_of_a_counter_is_made_again_only_if_it_has_changed(
    counters: _Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def counting(number: float) -> str:
        made.append(number)
        return exposition.number_text(number)

    monkeypatch.setattr("trust_otel.export.prometheus.renderer.number_text", counting)
    for currency in ("EUR", "USD"):
        counters.revenue(2, {"trust.currency": currency})
    assert counters.text() == counters.text()
    # Counters of trust-otel itself are 0.
    assert [number for number in made if number] == [2, 2]
    made.clear()
    counters.revenue(3, {"trust.currency": "USD"})
    counters.text()
    assert [number for number in made if number] == [5]


def test_series_that_counted_nothing_is_not_shown(endpoint: Endpoint, format_: Format) -> None:
    series = HistogramSeries({"http.route": "/a"}, HTTP_SERVER_REQUEST_DURATION.buckets)
    recorded = RecordedSeries(Resource({}), [RecordedFamily(HTTP_SERVER_REQUEST_DURATION, [series])])
    renderer = Renderer(format_, _fail)
    assert _NAME.encode() not in renderer.render([recorded], None)
    series.record(1)
    assert _NAME.encode() in renderer.render([recorded], None)
    # As in a forked process.
    series.restart()
    assert _NAME.encode() not in renderer.render([recorded], None)
    series.record(1)
    assert _NAME.encode() in renderer.render([recorded], None)


def _series(route: str) -> HistogramSeries:
    series = HistogramSeries({"http.route": route}, HTTP_SERVER_REQUEST_DURATION.buckets)
    series.record(1)
    return series


def _fail(metric: str, error: Exception) -> None:
    raise AssertionError(metric) from error


def test_series_of_several_resources_are_in_one_family() -> None:
    """As when the series of several processes are served together."""
    recorded = []
    for instance in ("i-1", "i-2"):
        resource = Resource({"service.instance.id": instance})
        recorded.append(RecordedSeries(resource, [RecordedFamily(HTTP_SERVER_REQUEST_DURATION, [_series("/a")])]))
    page = Renderer(OPEN_METRICS, _fail).render(recorded, None).decode()
    (family,) = [family for family in parse_open_metrics(page) if family.name == _NAME]
    counts = {each.labels["service_instance_id"]: each.value for each in family.samples if each.name.endswith("_count")}
    assert counts == {"i-1": 1, "i-2": 1}


def test_text_of_a_series_that_is_gone_is_gone() -> None:
    renderer = Renderer(TEXT, _fail)
    first, second = (_series(route) for route in ("/a", "/b"))

    def counts(*shown: HistogramSeries) -> int:
        family = RecordedFamily(HTTP_SERVER_REQUEST_DURATION, shown)
        return renderer.render([RecordedSeries(Resource({}), [family])], None).count(b"_count{")

    unknown = sys.getrefcount(first)
    assert [counts(first, second), counts(second), counts(second)] == [2, 1, 1]
    assert sys.getrefcount(first) == unknown
    assert counts(first) == 1


def test_open_metrics_has_the_start_of_each_series(endpoint: Endpoint) -> None:
    endpoint.duration(1, _LABELS)
    (series,) = endpoint.duration.series()
    assert endpoint.sample(f"{_NAME}_created", OPEN_METRICS).value == series.start_time_unix_nano // 10**6 / 1000
    endpoint.meter.create_counter("c").add(1)
    first = endpoint.sample("c_created", OPEN_METRICS).value
    assert endpoint.sample("c_created", OPEN_METRICS).value == first
    assert "_created" not in endpoint.text()


def test_histogram_does_not_start_in_the_future_when_the_clock_was_set_back(endpoint: Endpoint) -> None:
    endpoint.duration(1, _LABELS)
    (series,) = endpoint.duration.series()
    series.start_time_unix_nano += 3600 * 10**9
    assert endpoint.sample(f"{_NAME}_created", OPEN_METRICS).value <= time.time()


def test_counter_does_not_start_in_the_future_when_the_clock_was_set_back(counters: _Counters) -> None:
    counters.revenue(1, {"trust.currency": "EUR"})
    (series,) = counters.revenue.series()
    series.start_time_unix_nano += 3600 * 10**9
    assert counters.sample("trust_revenue_amount_created", OPEN_METRICS).value <= time.time()


def test_counter_starts_before_its_first_event(endpoint: Endpoint) -> None:
    """Otherwise `increase()` misses it: Prometheus writes a 0 at the start."""
    values: dict[str, float] = {"old": 1}
    endpoint.meter.create_observable_counter("c", [lambda _: [Observation(n, {"a": a}) for a, n in values.items()]])
    started = endpoint.sample("c_created", OPEN_METRICS, a="old").value
    endpoint.duration(1, _LABELS)
    (series,) = endpoint.duration.series()
    values["new"] = 1
    assert endpoint.sample("c_created", OPEN_METRICS, a="new").value < series.start_time_unix_nano / 1e9
    assert endpoint.sample("c_created", OPEN_METRICS, a="old").value == started


def test_open_metrics_has_the_last_exemplar_of_each_bucket(
    endpoint: Endpoint,
) -> None:
    with use_span(NonRecordingSpan(_SPAN)):
        for amount in (0.3, 0.4):
            endpoint.duration(amount, _LABELS)
    endpoint.duration(9000, _LABELS)
    shown = {
        sample.labels["le"]: sample.exemplar
        for sample in endpoint.families(OPEN_METRICS, _NAME)[_NAME].samples
        if sample.exemplar
    }
    assert {bound: (each.value, each.labels) for bound, each in shown.items()} == {
        "0.5": (0.4, {"trace_id": f"{7:032x}", "span_id": f"{5:016x}"}),
        "+Inf": (9000, {}),
    }
    assert all(each.timestamp for each in shown.values())
    # For a second Prometheus that scrapes the same endpoint.
    assert endpoint.text(OPEN_METRICS, _NAME).count(" # {") == 2
    assert " # {" not in endpoint.text()


def test_exemplar_that_is_kept_after_the_scrape_of_its_amount_is_shown() -> None:
    """An amount is counted first: a scrape may be between the two."""
    renderer, series = Renderer(OPEN_METRICS, _fail), _series("/a")
    recorded = [RecordedSeries(Resource({}), [RecordedFamily(HTTP_SERVER_REQUEST_DURATION, [series])])]
    assert b" # {" not in renderer.render(recorded, None)
    series.keep_sample(Sample(1, 10**18, None, None))
    assert b" # {} 1.0 1000000000.000\n" in renderer.render(recorded, None)


def test_open_metrics_has_exemplars_of_metrics_of_the_sdk(endpoint: Endpoint) -> None:
    with use_span(NonRecordingSpan(_SPAN)):
        endpoint.meter.create_counter("c").add(2)
        endpoint.meter.create_histogram("h", explicit_bucket_boundaries_advisory=[1, 5]).record(3)
        endpoint.meter.create_up_down_counter("u").add(1)
    families = endpoint.families(OPEN_METRICS, "c", "h", "u").values()
    shown = [
        (each.name, each.labels.get("le"), each.exemplar.value)
        for family in families
        for each in family.samples
        if each.exemplar
    ]
    assert shown == [("c_total", None, 2), ("h_bucket", "5.0", 3)]


@pytest.mark.parametrize(
    ("kind", "name", "unit", "expected"),
    [
        ("counter", "a", "s", ("a_seconds", "seconds")),
        ("counter", "a", "By/s", ("a_bytes_per_second", "bytes_per_second")),
        ("gauge", "a", "1", ("a_ratio", "ratio")),
        ("up_down_counter", "a", "1", ("a", "")),
        ("histogram", "a", "By", ("a_bytes", "bytes")),
        ("gauge", "a.seconds.left", "s", ("a_seconds_left", "")),
        ("gauge", "a", "{request}", ("a", "")),
        ("gauge", "a", "", ("a", "")),
    ],
)
def test_open_metrics_has_the_unit_where_it_ends_the_name(
    endpoint: Endpoint, kind: str, name: str, unit: str, expected: tuple[str, str]
) -> None:
    instrument = getattr(endpoint.meter, f"create_{kind}")(name, unit)
    record = {"counter": "add", "up_down_counter": "add", "gauge": "set", "histogram": "record"}[kind]
    getattr(instrument, record)(1)
    family = endpoint.families(OPEN_METRICS)[expected[0]]
    assert family.unit == expected[1]
    assert "# UNIT" not in endpoint.text()


def test_only_the_named_families_are_shown(counters: _Counters, format_: Format) -> None:
    counters.duration(1, _LABELS)
    counters.instruments.histogram(TRUST_CERTIFICATE_OPERATION_DURATION)(1, {"trust.certificate.operation": "signing"})
    counters.instruments.counter(TRUST_FEE_AMOUNT)(1)
    counters.meter.create_counter("c").add(1)
    assert counters.families(format_, _NAME).keys() == {_NAME}
    assert len(counters.families(format_, f"{_NAME}_count")[_NAME].samples) >= 17
    assert counters.families(format_, "trust_fee_amount_total").keys() == {"trust_fee_amount"}
    assert counters.families(format_, "c_total", "target_info").keys() == {"c", "target_info"}
    assert counters.families(format_, "c").keys() == {"c"}
    assert counters.families(format_, "nothing") == {}
    assert counters.families(format_).keys() > {_NAME, "c", "target_info"}


def test_scope_is_in_labels_only_if_it_is_set(endpoint: Endpoint, format_: Format) -> None:
    with_scope = Endpoint(scope_labels=True)
    for each in (endpoint, with_scope):
        each.duration(1, _LABELS)
        each.meter.create_counter("c").add(1)
    scopes = {
        sample.name: (sample.labels.get("otel_scope_name"), sample.labels.get("otel_scope_version"))
        for sample in with_scope.samples(format_)
    }
    assert scopes[f"{_NAME}_count"][0] == scopes["trust_otel_instance_up"][0] == "trust_otel"
    assert scopes["c_total"] == ("third.party", "2.1")
    assert scopes["target_info"] == (None, None)
    assert not any("otel_scope_name" in sample.labels for sample in endpoint.samples(format_))
    with_scope.provider.shutdown()


def test_same_series_of_another_library_is_exposed_once(endpoint: Endpoint, format_: Format) -> None:
    endpoint.duration(1, _LABELS)
    theirs = endpoint.meter.create_histogram(HTTP_SERVER_REQUEST_DURATION.name, "s")
    theirs.record(5, _LABELS)
    theirs.record(5, {**_LABELS, "http.route": "/theirs"})
    sums = {
        sample.labels["http_route"]: sample.value
        for sample in endpoint.samples(format_)
        if sample.name == f"{_NAME}_sum"
    }
    assert sums == {"/a": 1, "/theirs": 5}


def test_labels_that_the_format_writes_itself_are_not_written_twice(endpoint: Endpoint, format_: Format) -> None:
    endpoint.meter.create_histogram("h", explicit_bucket_boundaries_advisory=[1]).record(
        3, {"le": "x", "__name__": "y"}
    )
    endpoint.meter.create_counter("c").add(1, {"le": "x", "__name__": "y", "": "z"})
    text = endpoint.text(format_)
    assert "__name__" not in text
    assert all(line.count("le=") <= 1 for line in text.splitlines())
    assert endpoint.sample("h_sum", format_).labels == {"service_name": "shop"}
    assert endpoint.sample("c_total", format_).labels == {"le": "x", "service_name": "shop"}


def test_sample_name_of_another_family_is_logged_once(
    endpoint: Endpoint, format_: Format, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.meter.create_histogram("clash").record(1)
    endpoint.meter.create_up_down_counter("clash.count").add(7, {"a": "b"})
    for _ in range(2):
        assert endpoint.sample("clash_count", format_).value == 1
    messages = [record.getMessage() for record in caplog.records if "clash" in record.getMessage()]
    assert messages == ["trust-otel: clash.count is not exposed: clash_count already belongs to clash"]


def test_histogram_that_a_view_turns_into_a_sum_is_exposed_as_a_gauge(format_: Format) -> None:
    endpoint = Endpoint(View(instrument_name=HTTP_SERVER_REQUEST_DURATION.name, aggregation=SumAggregation()))
    endpoint.duration(3, _LABELS)
    assert endpoint.sample(_NAME, format_).value == 3
    endpoint.provider.shutdown()


class _Unprintable:
    def __str__(self) -> str:
        raise ValueError("secret")


def test_series_that_cannot_be_rendered_is_left_out_counted_and_logged_once(
    endpoint: Endpoint, format_: Format, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = endpoint.meter.create_counter("c")
    counter.add(1, {"a": "good"})
    for _ in range(20):
        # The sum is larger than the largest float.
        counter.add(10**308, {"a": "bad"})
    endpoint.duration(1, _LABELS)
    bad: Any = _Unprintable()
    broken = HistogramSeries({"http.route": bad}, HTTP_SERVER_REQUEST_DURATION.buckets)
    broken.record(1)
    monkeypatch.setattr(BoundedHistogram, "series", lambda self: [broken, *self._series.cells()])
    endpoint.text(format_)
    assert endpoint.sample("c_total", format_).labels["a"] == "good"
    assert endpoint.sample(f"{_NAME}_count", format_).value == 1
    assert endpoint.sample("trust_otel_dropped_total", format_, reason="internal_error").value == 6
    messages = [record.getMessage() for record in caplog.records if "is not exposed" in record.getMessage()]
    assert len(messages) == 2
    assert "secret" not in caplog.text


def test_metric_without_a_valid_name_is_left_out(format_: Format) -> None:
    endpoint = Endpoint(View(instrument_name="renamed", name="日本"))
    endpoint.meter.create_counter("renamed").add(1)
    endpoint.meter.create_counter("c").add(1)
    assert {"c"} <= endpoint.families(format_).keys()
    endpoint.provider.shutdown()


@pytest.mark.parametrize("bound", [0, 0.0005, 1e-5, 2.5, 10, 1_234_567, 1e6, 1.5e8, 1e16, 1.5e300, -2.5])
def test_bound_is_written_as_by_client_libraries(bound: float) -> None:
    assert exposition.bound_text(bound) == floatToGoString(bound)


def test_large_bound_is_written_as_by_go() -> None:
    assert exposition.bound_text(1e10) == "1e+10"


def test_start_is_never_rounded_up() -> None:
    assert exposition.time_text(1_999_999_999) == "1.999"
