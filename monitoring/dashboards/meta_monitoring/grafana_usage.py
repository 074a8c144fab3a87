"""Grafana usage, from Grafana's own metrics."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import stat, timeseries

from monitoring.dashboards.panels import PanelText, Query, stat_panel, time_series_panel

_NO_GRAFANA: Final = "No Grafana is scraped."


def grafana_users() -> stat.Panel:
    """Users and dashboards."""
    return stat_panel(
        PanelText(
            31,
            "Grafana usage",
            "Users active in the last 30 days, all users, and dashboards.",
            "For the monthly review: ask inactive users whether they need other dashboards, or remove their accounts.",
            _NO_GRAFANA,
        ),
        "short",
        (
            Query("active users", "max(grafana_stat_active_users)"),
            Query("users", "max(grafana_stat_total_users)"),
            Query("dashboards", "max(grafana_stat_totals_dashboard)"),
        ),
        sparkline=False,
        width=6,
        height=8,
    )


def dashboard_views() -> timeseries.Panel:
    """Dashboard requests."""
    return time_series_panel(
        PanelText(
            32,
            "Dashboard views",
            "Dashboard requests by HTTP status code.",
            "Failures: users without access (403), or links to deleted dashboards (404).",
            _NO_GRAFANA,
        ),
        "short",
        (
            Query(
                "{{status_code}}",
                "sum by (status_code) (increase(grafana_http_request_duration_seconds_count"
                '{handler="/api/dashboards/uid/:uid"}[$__rate_interval]))',
            ),
        ),
        width=9,
    )


def data_source_requests() -> timeseries.Panel:
    """Data source requests."""
    return time_series_panel(
        PanelText(
            33,
            "Grafana data source requests",
            "Data source requests per second by HTTP status code, and their mean duration (right axis).",
            "Slow: check the query latency of Prometheus. Errors: the failing panel shows the message.",
            _NO_GRAFANA,
        ),
        "reqps",
        (
            Query("{{code}}", "sum by (code) (rate(grafana_datasource_request_total[$__rate_interval]))"),
            Query(
                "mean duration",
                "sum(rate(grafana_datasource_request_duration_seconds_sum[$__rate_interval]))"
                " / (sum(rate(grafana_datasource_request_duration_seconds_count[$__rate_interval])) > 0)",
                "s",
            ),
        ),
        width=9,
    )
