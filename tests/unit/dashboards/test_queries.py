"""PromQL builders for the metrics of the registry."""

from __future__ import annotations

from monitoring.dashboards.queries import (
    highest,
    increase,
    lowest,
    mean,
    named,
    quantile,
    rate,
    ratio,
    recorded,
    series,
    total,
)
from tools.checks.promql import parse
from trust_otel.semconv.metrics import HTTP_SERVER_REQUEST_DURATION, TRUST_SESSION_ACTIVE

SERVICE = 'deployment_environment_name="$environment", service_name=~"$service"'


def test_series_are_filtered_by_the_selected_instances() -> None:
    assert series(TRUST_SESSION_ACTIVE) == f'trust_session_active{{{SERVICE}, service_instance_id=~"$instance"}}'


def test_recorded_series_have_no_instance_matcher() -> None:
    assert recorded("service:x:rate2m", 'slo="latency"') == f'service:x:rate2m{{{SERVICE}, slo="latency"}}'


def test_matcher_and_histogram_suffix_are_added() -> None:
    query = series(HTTP_SERVER_REQUEST_DURATION, 'http_route="/x"', part="_count")
    assert query.startswith("http_server_request_duration_seconds_count{")
    assert query.endswith(', http_route="/x"}')


def test_rate_uses_rate_interval_and_increase_uses_range() -> None:
    assert rate(TRUST_SESSION_ACTIVE).endswith("[$__rate_interval])")
    assert increase(TRUST_SESSION_ACTIVE).endswith("[$__range])")
    assert increase(TRUST_SESSION_ACTIVE, over="5m").endswith("[5m])")


def test_total_groups_by_the_given_labels() -> None:
    assert total("x") == "sum(x)"
    assert total("x", "a", "b") == "sum by (a, b) (x)"


def test_queries_are_valid_promql() -> None:
    for query in (
        quantile(0.95, HTTP_SERVER_REQUEST_DURATION, by=("service_name",), over="5m"),
        mean(HTTP_SERVER_REQUEST_DURATION, by=("service_name",), over="5m"),
        ratio(total("a"), total("b")),
        named("a"),
        highest(named("a")),
        lowest("a"),
    ):
        parse(query)


def test_quantile_groups_by_le() -> None:
    assert "sum by (http_route, le)" in quantile(0.5, HTTP_SERVER_REQUEST_DURATION, by=("http_route",))


def test_ratio_is_zero_without_numerator_and_absent_without_denominator() -> None:
    assert ratio("a", "b") == "(a or b * 0) / (b > 0)"
