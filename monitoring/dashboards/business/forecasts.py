"""Forecasts, costs and capacity."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import bargauge, stat, timeseries

from monitoring.dashboards.business.constants import (
    COSTS,
    CURRENCY,
    DOCUMENTS,
    REVENUE_BY_COUNTRY,
    amount,
    hourly,
    per_hour,
)
from monitoring.dashboards.panels import PanelText, Query, bar_gauge_panel, stat_panel, time_series_panel
from monitoring.dashboards.queries import recorded, scraped, series, total
from monitoring.dashboards.thresholds import falling, rising
from trust_otel.semconv.metrics import PROCESS_CPU_TIME

_REVENUE: Final = "service:trust_revenue_amount"
_VOLUME: Final = "service:trust_document_processing"
_DAY: Final = 86400
_YEAR: Final = 365
_POOLS: Final = "service_pool:db_client_connections_used:ratio"
_CPU: Final = "host:node_cpu_busy:ratio_rate5m"
_METHOD: Final = (
    "the same days of last week times the growth since; with less than a week of data, the last day or the current rate"
)


def _expected(name: str, days: int, *matchers: str, by: tuple[str, ...] = ()) -> str:
    mean = f"{name}:rate1d_expected" if days == 1 else f"{name}:rate1w_expected"
    return f"{total(recorded(mean, *matchers), *by)} * {days * _DAY}"


def revenue_forecast() -> stat.Panel:
    """Expected revenue of the next days."""
    signals = []
    for text, days in (("24 hours", 1), ("7 days", 7), ("30 days", 30)):
        signals.append(Query(f"{text} {{{{trust_currency}}}}", _expected(_REVENUE, days, by=(CURRENCY,))))
    return stat_panel(
        PanelText(
            10,
            "Revenue forecast",
            f"Expected revenue from now on, by currency: {_METHOD}. The 30-day forecast extends the 7-day forecast.",
            "Below plan: check Revenue by client for clients with less revenue.",
            "No revenue was recorded, or too recently for a forecast.",
        ),
        "short",
        signals,
        sparkline=False,
        width=24,
        height=6,
    )


def revenue_vs_forecast() -> timeseries.Panel:
    """Revenue over time, with the forecast."""
    return time_series_panel(
        PanelText(
            23,
            "Revenue vs. forecast",
            f"Revenue per hour. Dashed: the forecast for that time ({_METHOD}).",
            "Revenue and forecast diverge: find the country in Revenue by country.",
            "No revenue was recorded.",
            ("TrustRevenueDrop",),
        ),
        "short",
        [
            Query("{{trust_currency}}", hourly(REVENUE_BY_COUNTRY, by=(CURRENCY,))),
            Query("{{trust_currency}} forecast", per_hour(f"{_REVENUE}:rate30m_expected", by=(CURRENCY,)), dashed=True),
        ],
        width=16,
    )


def document_volume_predictions() -> stat.Panel:
    """Expected documents of the next days."""
    return stat_panel(
        PanelText(
            24,
            "Document volume predictions",
            f"Expected number of documents from now on: {_METHOD}. The 30-day prediction extends the 7-day prediction.",
            "Far above the current volume: check Capacity utilisation.",
            "No documents were processed, or too recently for a prediction.",
        ),
        "short",
        [
            Query("24 hours", f"round({_expected(_VOLUME, 1)})"),
            Query("7 days", f"round({_expected(_VOLUME, 7)})"),
            Query("30 days", f"round({_expected(_VOLUME, 30)})"),
        ],
        sparkline=False,
        width=8,
        height=8,
    )


def cost_per_transaction() -> bargauge.Panel:
    """Costs per processed document."""
    query = f"{amount(COSTS, by=(CURRENCY,))} / on () group_left () ({amount(DOCUMENTS)} > 0)"
    return bar_gauge_panel(
        PanelText(
            25,
            "Cost per transaction",
            "Recorded costs in the selected time range divided by the number of processed documents, by currency.",
            "Rising: compare with Document type distribution; some types cost more to process.",
            "No documents or no costs were recorded in the selected time range, or only in the last minutes.",
        ),
        "short",
        [Query("{{trust_currency}}", query)],
        names_above=True,
        width=5,
    )


def resource_efficiency() -> timeseries.Panel:
    """Documents per CPU second."""
    documents = total(recorded("service:trust_document_processing:rate30m"))
    processors = total(f"rate({series(PROCESS_CPU_TIME)}[30m])")
    return time_series_panel(
        PanelText(
            26,
            "Resource efficiency",
            "Documents processed per CPU second of the services, over half an hour. Higher is better. It drops at "
            "low volume, because services use some CPU time without processing documents.",
            "Dropping at the same volume: ask operations which version was deployed at that time.",
            "The services do not report CPU time.",
        ),
        "short",
        [Query("Documents per CPU second", f"{documents} / ({processors} > 0)")],
        width=6,
    )


def capacity_utilisation() -> timeseries.Panel:
    """Share of the capacity in use."""
    return time_series_panel(
        PanelText(
            27,
            "Capacity utilisation",
            "Share in use of the database connections of each service and of the CPUs of each host.",
            "Above 80 %: plan additional capacity now.",
            "No service reports a connection limit, and no host reports CPU usage.",
        ),
        "percentunit",
        [
            Query(
                "Database connections {{service_name}}",
                f"max by (service_name) ({recorded(_POOLS)})",
            ),
            Query("CPU {{instance}}", f"max by (instance) ({scraped(_CPU)})"),
        ],
        levels=rising(yellow=0.8, red=0.9),
        max_value=1,
        width=8,
    )


def capacity_planning() -> stat.Panel:
    """Days until the capacity is used up, at the growth of the last week."""
    return stat_panel(
        PanelText(
            28,
            "Capacity planning",
            "Days until the capacity is used up if usage keeps growing as in the last week. No growth, or a year or "
            "more left, is shown as sufficient.",
            "Below 30 days: order or provision additional capacity.",
            "Connection limits or host CPU usage have been recorded for less than a week.",
        ),
        "none",
        [
            Query("Connections (days left)", _days_left(recorded(_POOLS))),
            Query("CPU (days left)", _days_left(scraped(_CPU))),
        ],
        levels=falling(red=7, yellow=30),
        texts={str(_YEAR): ("sufficient (> 1 year)", "green")},
        sparkline=False,
        width=5,
        height=8,
    )


def _days_left(used: str) -> str:
    """The shortest time of all series, at most a year."""
    grown = f"(deriv({used}[1w]) > 0 and {used} offset 1w)"
    days = f"clamp_max(clamp_min(1 - {used}, 0) / {grown} / {_DAY}, {_YEAR})"
    # The growth is unknown until a week of data exists.
    return f"min({days} or ({used} and {used} offset 1w) * 0 + {_YEAR})"
