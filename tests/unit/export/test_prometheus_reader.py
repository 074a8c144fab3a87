"""The in-process endpoint."""

import logging
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from socketserver import BaseServer
from typing import Any

import pytest
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from trust_otel import TrustServiceMetrics, settings
from trust_otel.configurator import make_views
from trust_otel.export.prometheus.reader import PrometheusReader
from trust_otel.semconv.metrics import ALL

Parse = Callable[[str], Mapping[Any, float]]
RESOURCE = Resource({"service.name": "shop", "service.instance.id": "i-1", "os.type": "linux", "odd": "a\nb"})


class Endpoint:
    def __init__(self, *views: View, resource: Resource = RESOURCE) -> None:
        self.reader = PrometheusReader("127.0.0.1", 0)
        self.provider = MeterProvider(
            [self.reader],
            resource,
            views=[*views, *make_views(ALL.values(), settings.current().limits)],
            shutdown_on_exit=False,
        )

    def scrape(self, accept: str = "text/plain") -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{self.reader.port}/metrics", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=5) as response:
            assert response.status == 200
            return response.read().decode()


@pytest.fixture(autouse=True)
def _no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server polls its shutdown flag so rarely that a shutdown that waited for it would not return."""
    monkeypatch.setattr(BaseServer.serve_forever, "__defaults__", (3600,))


@pytest.fixture
def serve() -> Iterator[Callable[..., Endpoint]]:
    served: list[Endpoint] = []

    def start(*views: View, **arguments: Any) -> Endpoint:
        served.append(Endpoint(*views, **arguments))
        return served[-1]

    yield start
    for endpoint in served:
        endpoint.provider.shutdown()


def _value(samples: Mapping[Any, float], name: str, **labels: str) -> float:
    matching = [value for (of, has), value in samples.items() if of == name and labels.items() <= dict(has).items()]
    assert len(matching) == 1, (name, labels, matching)
    return matching[0]


def test_every_metric_has_the_name_in_the_registry(serve: Callable[..., Endpoint], parsed: Parse) -> None:
    endpoint = serve()
    meter = endpoint.provider.get_meter("test")
    for metric in ALL.values():
        labels = {attribute.name: attribute.members[0] if attribute.members else "x" for attribute in metric.attributes}
        if metric.instrument == "histogram":
            meter.create_histogram(metric.name, metric.unit).record(1, labels)
        elif metric.instrument == "counter":
            meter.create_counter(metric.name, metric.unit).add(1, labels)
        elif metric.instrument == "updowncounter":
            meter.create_up_down_counter(metric.name, metric.unit).add(1, labels)
        else:
            meter.create_gauge(metric.name, metric.unit).set(1, labels)
    samples = parsed(endpoint.scrape())
    for metric in ALL.values():
        name = metric.prometheus_name + ("_count" if metric.instrument == "histogram" else "")
        ((_, labels),) = [key for key in samples if key[0] == name]
        declared = {attribute.label for attribute in metric.attributes}
        assert {label for label, _ in labels} == declared | {"service_name", "service_instance_id"}


def test_buckets_are_cumulative_with_bounds_in_the_format_of_prometheus(
    serve: Callable[..., Endpoint], parsed: Parse
) -> None:
    endpoint = serve()
    metrics = TrustServiceMetrics(endpoint.provider, limits=settings.Settings.from_environment({}).limits)
    for score in (1, 2, 2, 5):
        metrics.record_business_metric("customer_satisfaction", score)
    samples = parsed(endpoint.scrape())
    name = "trust_customer_satisfaction"
    buckets = {dict(labels)["le"]: value for (of, labels), value in samples.items() if of == f"{name}_bucket"}
    assert buckets == {"1.0": 1, "2.0": 3, "3.0": 3, "4.0": 3, "5.0": 4, "+Inf": 4}
    assert _value(samples, f"{name}_sum") == 10
    assert _value(samples, f"{name}_count") == 4


@pytest.mark.parametrize(
    ("bound", "text"),
    [(0.0005, "0.0005"), (0.075, "0.075"), (2.5, "2.5"), (1e8, "1e+08"), (0.0, "0.0"), (1e-5, "1e-05")],
)
def test_bound_can_be_parsed_back(serve: Callable[..., Endpoint], parsed: Parse, bound: float, text: str) -> None:
    endpoint = serve()
    endpoint.provider.get_meter("m").create_histogram("h", explicit_bucket_boundaries_advisory=[bound]).record(1)
    bounds = {dict(labels)["le"] for name, labels in parsed(endpoint.scrape()) if name == "h_bucket"}
    (le,) = bounds - {"+Inf"}
    assert (le, float(le)) == (text, bound)


def test_instrument_kinds_map_to_family_types(serve: Callable[..., Endpoint]) -> None:
    endpoint = serve()
    meter = endpoint.provider.get_meter("m")
    meter.create_counter("c", "s").add(1)
    meter.create_up_down_counter("u", "By").add(1)
    meter.create_gauge("g", "1").set(0.5)
    meter.create_observable_counter("oc", [lambda _: [Observation(1)]])
    meter.create_observable_gauge("og", [lambda _: [Observation(1)]], "Cel")
    text = endpoint.scrape()
    for line in (
        "# TYPE c_seconds_total counter",
        "# TYPE u_bytes gauge",
        "# TYPE g_ratio gauge",
        "# TYPE oc_total counter",
        "# TYPE og_celsius gauge",
        "# TYPE target_info gauge",
    ):
        assert line in text


def test_open_metrics_is_served_on_request(serve: Callable[..., Endpoint]) -> None:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    endpoint = serve()
    TrustServiceMetrics(endpoint.provider, limits=settings.Settings.from_environment({}).limits).record_audit_event("x")
    text = endpoint.scrape("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    assert {family.name for family in text_string_to_metric_families(text)} >= {"trust_audit_events", "target_info"}


def test_resource_is_in_target_info_and_promoted_attributes_on_every_series(
    serve: Callable[..., Endpoint], parsed: Parse
) -> None:
    endpoint = serve()
    endpoint.provider.get_meter("m").create_counter("c").add(1, {"a": "b"})
    samples = parsed(endpoint.scrape())
    assert _value(samples, "target_info", os_type="linux", odd="a\nb", service_name="shop") == 1
    assert _value(samples, "c_total", a="b", service_name="shop", service_instance_id="i-1") == 1
    assert not any("os_type" in dict(labels) for name, labels in samples if name != "target_info")


def test_same_series_of_two_libraries_is_exposed_once(serve: Callable[..., Endpoint], parsed: Parse) -> None:
    endpoint = serve()
    for scope in ("one", "two"):
        endpoint.provider.get_meter(scope).create_counter("c", description=scope).add(1, {"a": "b"})
        endpoint.provider.get_meter(scope).create_counter("c.c").add(1, {"of": scope})
    text = endpoint.scrape()
    assert text.count("# HELP c_total ") == 1
    samples = parsed(text)
    assert _value(samples, "c_total", a="b") == 1
    assert _value(samples, "c_c_total", of="one") == 1
    assert _value(samples, "c_c_total", of="two") == 1


def test_colliding_names_are_exposed_once(serve: Callable[..., Endpoint], parsed: Parse) -> None:
    endpoint = serve()
    meter = endpoint.provider.get_meter("m")
    meter.create_counter("a.b").add(1)
    meter.create_counter("a_b").add(2)
    meter.create_up_down_counter("x.y").add(1, {"p.q": "1", "p_q": "2"})
    samples = parsed(endpoint.scrape())
    assert _value(samples, "a_b_total") == 1
    assert _value(samples, "x_y") == 1


def test_name_that_exists_with_another_type_is_dropped_and_logged(
    serve: Callable[..., Endpoint], parsed: Parse, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = serve()
    meter = endpoint.provider.get_meter("m")
    meter.create_histogram("a.b").record(1)
    meter.create_up_down_counter("a_b").add(1)
    samples = parsed(endpoint.scrape())
    assert _value(samples, "a_b_count") == 1
    assert "a_b" in caplog.text


def test_sample_with_the_name_of_another_metric_is_exposed_once(serve: Callable[..., Endpoint], parsed: Parse) -> None:
    endpoint = serve()
    meter = endpoint.provider.get_meter("m")
    meter.create_counter("a").add(1)
    meter.create_gauge("a.total").set(2)
    meter.create_histogram("h").record(1)
    meter.create_counter("h.count.total").add(5)
    meter.create_up_down_counter("h.count").add(7)
    samples = parsed(endpoint.scrape())
    assert _value(samples, "a_total") == 1
    assert _value(samples, "h_count") == 1


def test_exponential_histogram_is_dropped_and_logged_once(
    serve: Callable[..., Endpoint], parsed: Parse, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = serve(View(instrument_name="e", aggregation=ExponentialBucketHistogramAggregation()))
    meter = endpoint.provider.get_meter("m")
    meter.create_histogram("e").record(1)
    meter.create_counter("c").add(1)
    for _ in range(3):
        assert _value(parsed(endpoint.scrape()), "c_total") == 1
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1


@pytest.mark.parametrize(
    "text", ["a\nb", 'a"b', "a\\b", "a\\nb", "a\x00b", "{}", "日本", "\udcff", "a\ud800b", "", " ", "a\rb", "a\u2028b"]
)
def test_labels_of_other_libraries_do_not_break_the_scrape(
    serve: Callable[..., Endpoint], parsed: Parse, text: str
) -> None:
    endpoint = serve(resource=Resource({"service.name": text or "x", "odd": text}))
    endpoint.provider.get_meter("m").create_counter("c", description=text).add(1, {"a": text, "b.c": "d"})
    samples = parsed(endpoint.scrape())
    assert _value(samples, "c_total", b_c="d") == 1
    if text.isprintable():
        assert _value(samples, "c_total", a=text) == 1


@pytest.mark.parametrize("value", [True, 7, 1.5, ["a", "b"], [1, 2], ("x",)])
def test_attribute_of_any_type_is_exposed(serve: Callable[..., Endpoint], parsed: Parse, value: Any) -> None:
    endpoint = serve()
    endpoint.provider.get_meter("m").create_counter("c").add(1, {"a": value})
    written = {True: "true", 7: "7", 1.5: "1.5"}
    expected = written[value] if isinstance(value, (bool, int, float)) else None
    samples = parsed(endpoint.scrape())
    assert _value(samples, "c_total", **({"a": expected} if expected else {})) == 1


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 2**63, -1.5, 1e308])
def test_number_of_any_size_is_exposed(serve: Callable[..., Endpoint], parsed: Parse, number: float) -> None:
    endpoint = serve()
    endpoint.provider.get_meter("m").create_observable_gauge("g", [lambda _: [Observation(number)]])
    parsed(endpoint.scrape())


def _fail(_options: CallbackOptions) -> Any:
    raise LookupError("the value cannot be read")


def test_callback_that_fails_does_not_fail_the_scrape(serve: Callable[..., Endpoint], parsed: Parse) -> None:
    endpoint = serve()
    meter = endpoint.provider.get_meter("m")
    meter.create_observable_gauge("bad", [_fail])
    meter.create_counter("c").add(1)
    assert _value(parsed(endpoint.scrape()), "c_total") == 1


def test_endpoint_exposes_only_this_provider(serve: Callable[..., Endpoint], parsed: Parse) -> None:
    assert parsed(serve().scrape()) == {}


def test_concurrent_scrapes_are_complete(serve: Callable[..., Endpoint], parsed: Parse) -> None:
    endpoint = serve()
    counter = endpoint.provider.get_meter("m").create_counter("c")
    for number in range(200):
        counter.add(1, {"n": number})
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(len(parsed(endpoint.scrape())))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [201] * 8


def test_port_in_use_is_an_os_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            PrometheusReader("127.0.0.1", taken.getsockname()[1])


def test_shutdown_frees_the_port_and_the_thread() -> None:
    before = threading.active_count()
    reader = PrometheusReader("127.0.0.1", 0)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    assert threading.active_count() == before + 1
    provider.shutdown()
    assert threading.active_count() == before
    again = PrometheusReader("127.0.0.1", reader.port)
    MeterProvider([again], shutdown_on_exit=False).shutdown()


def test_shutdown_twice() -> None:
    reader = PrometheusReader("127.0.0.1", 0)
    reader.shutdown()
    reader.shutdown()
