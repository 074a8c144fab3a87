"""Who looks: Grafana, from its own metrics."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import stat, timeseries

from monitoring.dashboards.panels import About, Signal, number, trend

_NO_GRAFANA: Final = "No Grafana is scraped."


def users() -> stat.Panel:
    """How many there are."""
    return number(
        About(
            31,
            "Grafana usage",
            "Users who were there in the last 30 days, of all; and dashboards.",
            "For the monthly review: people who never look need another dashboard, or no account.",
            _NO_GRAFANA,
        ),
        "short",
        (
            Signal("active users", "max(grafana_stat_active_users)"),
            Signal("users", "max(grafana_stat_total_users)"),
            Signal("dashboards", "max(grafana_stat_totals_dashboard)"),
        ),
        sparkline=False,
        width=6,
        height=8,
    )


def views() -> timeseries.Panel:
    """How often dashboards are opened."""
    return trend(
        About(
            32,
            "Dashboard views",
            "How often a dashboard was opened, and how often that failed.",
            "Failures: people without access (403), or links to dashboards that are gone (404).",
            _NO_GRAFANA,
        ),
        "short",
        (
            Signal(
                "{{status_code}}",
                "sum by (status_code) (increase(grafana_http_request_duration_seconds_count"
                '{handler="/api/dashboards/uid/:uid"}[$__rate_interval]))',
            ),
        ),
        width=9,
    )


def data_source() -> timeseries.Panel:
    """What Grafana asks for."""
    return trend(
        About(
            33,
            "Queries of Grafana",
            "What Grafana asks its data sources a second, by the code of the answer, and how long a query takes "
            "(right axis).",
            "Slow: see the time of queries above. Errors: the panel that fails shows the message.",
            _NO_GRAFANA,
        ),
        "reqps",
        (
            Signal("{{code}}", "sum by (code) (rate(grafana_datasource_request_total[$__rate_interval]))"),
            Signal(
                "mean time",
                "sum(rate(grafana_datasource_request_duration_seconds_sum[$__rate_interval]))"
                " / (sum(rate(grafana_datasource_request_duration_seconds_count[$__rate_interval])) > 0)",
                "s",
            ),
        ),
        width=9,
    )
