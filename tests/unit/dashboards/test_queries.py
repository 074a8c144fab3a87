"""PromQL of the registry's metrics."""

from __future__ import annotations

from monitoring.dashboards.queries import increase, mean, quantile, rate, recorded, series, share, total
from tools.checks.promql import parse
from trust_otel.semconv.metrics import HTTP_SERVER_REQUEST_DURATION, TRUST_SESSION_ACTIVE

SERVICE = 'deployment_environment_name=~"$environment", service_name=~"$service"'


def test_series_are_those_of_the_chosen_instances() -> None:
    assert series(TRUST_SESSION_ACTIVE) == f'trust_session_active{{{SERVICE}, service_instance_id=~"$instance"}}'


def test_recorded_series_have_no_instance() -> None:
    assert recorded("service:x:rate2m", 'slo="latency"') == f'service:x:rate2m{{{SERVICE}, slo="latency"}}'


def test_a_matcher_and_a_part_of_a_histogram_are_added() -> None:
    query = series(HTTP_SERVER_REQUEST_DURATION, 'http_route="/x"', part="_count")
    assert query.startswith("http_server_request_duration_seconds_count{")
    assert query.endswith(', http_route="/x"}')


def test_rates_have_grafanas_window_and_increases_the_time_shown() -> None:
    assert rate(TRUST_SESSION_ACTIVE).endswith("[$__rate_interval])")
    assert increase(TRUST_SESSION_ACTIVE).endswith("[$__range])")
    assert increase(TRUST_SESSION_ACTIVE, over="5m").endswith("[5m])")


def test_a_total_keeps_the_labels_that_are_named() -> None:
    assert total("x") == "sum(x)"
    assert total("x", "a", "b") == "sum by (a, b) (x)"


def test_everything_is_promql_once_the_variables_are_known() -> None:
    for query in (
        quantile(0.95, HTTP_SERVER_REQUEST_DURATION, by=("service_name",), over="5m"),
        mean(HTTP_SERVER_REQUEST_DURATION, by=("service_name",), over="5m"),
        share(total("a"), total("b")),
    ):
        parse(query)


def test_a_quantile_keeps_the_bounds_of_the_buckets() -> None:
    assert "sum by (http_route, le)" in quantile(0.5, HTTP_SERVER_REQUEST_DURATION, by=("http_route",))


def test_a_share_is_0_without_a_part_and_absent_without_a_whole() -> None:
    assert share("a", "b") == "(a or b * 0) / (b > 0)"
