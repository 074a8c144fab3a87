"""Names in Prometheus, by the rules of OpenTelemetry.

The cases of the first table are from Prometheus' library `otlptranslator` 1.0.0.
"""

import re

import pytest

from trust_otel.semconv.definitions import Metric
from trust_otel.semconv.metrics import ALL
from trust_otel.semconv.prometheus import family_name, label_name


@pytest.mark.parametrize(
    ("name", "unit", "kind", "family"),
    [
        ("requests", "", "counter", "requests_total"),
        ("requests_total", "", "counter", "requests_total"),
        ("total.requests", "", "counter", "requests_total"),
        ("items", "1", "counter", "items_total"),
        ("items", "1", "sum", "items"),
        ("cpu_usage", "1", "gauge", "cpu_usage_ratio"),
        ("cpu_usage_ratio", "1", "gauge", "cpu_usage_ratio"),
        ("response_time", "ms", "gauge", "response_time_milliseconds"),
        ("response_time", "s", "histogram", "response_time_seconds"),
        ("response_time_seconds", "s", "gauge", "response_time_seconds"),
        ("memory_usage", "By", "gauge", "memory_usage_bytes"),
        ("requests", "1/s", "gauge", "requests_per_second"),
        ("throughput", "By/s", "gauge", "throughput_bytes_per_second"),
        ("speed", "m/s", "gauge", "speed_meters_per_second"),
        ("speed", "km/h", "gauge", "speed_km_per_hour"),
        ("rate", "{packet}/s", "gauge", "rate_per_second"),
        ("custom_metric", "custom_unit", "gauge", "custom_metric_custom_unit"),
        ("custom_metric", "{custom}", "gauge", "custom_metric"),
        ("custom_metric", "By/{custom}", "gauge", "custom_metric_bytes"),
        ("otelcol_process_cpu_seconds", "s", "counter", "otelcol_process_cpu_seconds_total"),
        ("cpu_seconds_total", "s", "counter", "cpu_seconds_total"),
        ("battery.charge", "%", "gauge", "battery_charge_percent"),
        ("uptime", "d", "gauge", "uptime_days"),
        ("temperature", "Cel", "gauge", "temperature_celsius"),
        ("metric@@##$$name", "", "gauge", "metric_name"),
        ("http.server.request.duration", "s", "histogram", "http_server_request_duration_seconds"),
        ("123metric", "", "gauge", "_123metric"),
        (".leading.and.trailing.", "", "gauge", "leading_and_trailing"),
        ("a:b", "", "gauge", "a:b"),
    ],
)
def test_family_name(name: str, unit: str, kind: str, family: str) -> None:
    assert family_name(name, unit, monotonic=kind == "counter", gauge=kind == "gauge") == family


@pytest.mark.parametrize(
    ("attribute", "label"),
    [
        ("http.request.method", "http_request_method"),
        ("label:with:colons", "label_with_colons"),
        ("LabelWithCapitalLetters", "LabelWithCapitalLetters"),
        ("123label", "key_123label"),
        ("_label", "_label"),
        ("with-dash and space", "with_dash_and_space"),
    ],
)
def test_label_name(attribute: str, label: str) -> None:
    assert label_name(attribute) == label


def test_family_names_are_unique() -> None:
    names = [metric.prometheus_name for metric in ALL.values()]
    assert len(set(names)) == len(names)


def test_sample_names_are_unique() -> None:
    families = {metric.prometheus_name for metric in ALL.values()}
    for metric in ALL.values():
        if metric.instrument == "histogram":
            for suffix in ("_bucket", "_sum", "_count"):
                assert metric.prometheus_name + suffix not in families


def test_labels_of_a_metric_are_unique() -> None:
    for metric in ALL.values():
        labels = [attribute.label for attribute in metric.attributes]
        assert len(set(labels)) == len(labels), metric.name


@pytest.mark.parametrize("metric", ALL.values(), ids=lambda metric: metric.name)
def test_every_name_in_the_registry_is_valid(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.prometheus_name)
    assert metric.prometheus_name.endswith("_total") == (metric.instrument == "counter")
    for attribute in metric.attributes:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", attribute.label)
        assert attribute.label not in ("le", "quantile", "job", "instance")
