"""Forecasts, costs and capacity."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import stat, table, timeseries

from monitoring.dashboards.business.constants import (
    COSTS,
    CURRENCY,
    DOCUMENTS,
    REVENUE_BY_COUNTRY,
    SERVICE,
    amount,
    hourly,
    per_hour,
)
from monitoring.dashboards.panels import (
    TEXT_COLOUR,
    Column,
    PanelText,
    Query,
    stat_panel,
    table_panel,
    time_series_panel,
)
from monitoring.dashboards.queries import highest, recorded, scraped, series, total, with_label
from monitoring.dashboards.thresholds import UNMEASURED, falling, rising
from trust_otel.semconv.metrics import PROCESS_CPU_TIME

_REVENUE: Final = "service:trust_revenue_amount"
_VOLUME: Final = "service:trust_document_processing"
_DAY: Final = 86400
_YEAR: Final = 365
_POOLS: Final = "service_pool:db_client_connections_used:ratio"
_CPU: Final = "host:node_cpu_busy:ratio_rate5m"
_METHOD: Final = (
    "the mean of the same days in the last two weeks times the growth since, of which at most 15 % a week count. A "
    "forecast needs 8 days of history"
)
_RANGE: Final = (
    "Lowest and highest are the forecast less and plus the typical difference of a day from the same day a week "
    "before; a third of the time, the outcome is outside"
)
_FULL: Final = 0.9
_HORIZONS: Final = {"24 hours": 1, "7 days": 7, "30 days": 30}
_WEEK: Final = 7
_HORIZON: Final = "horizon"
_TOO_NEW: Final = "needs 8 days"
"""Short enough for a column on a phone."""


def _expected(name: str, *by: str, sign: int = 0) -> str:
    """Expected amounts by horizon; NaN without enough history. `sign` selects the lowest or the highest."""
    return " or ".join(_within(name, text, days, *by, sign=sign) for text, days in _HORIZONS.items())


def _within(name: str, text: str, days: int, *by: str, sign: int) -> str:
    rate = recorded(f"{name}:rate1d_expected" if days == 1 else f"{name}:rate1w_expected")
    if sign:
        # The error of a sum of independent weeks would grow with the root of their number: that of a level does not.
        error = f"{recorded(f'{name}:relative_error1w')} * {max(1.0, days / _WEEK) ** 0.5:.3g}"
        rate = f"{rate} * clamp_min(1 {'+' if sign > 0 else '-'} {error}, 0)"
    known = f"{total(rate, *by)} * {days * _DAY}"
    unknown = f"{total(recorded(f'{name}:rate30m'), *by)} * NaN"
    return with_label(f"({known} or {unknown})", _HORIZON, text)


def _forecast_columns(name: str, *by: str, unit: str) -> tuple[Column, ...]:
    headings = {"Expected": 0, "Lowest": -1, "Highest": 1}
    return tuple(
        Column(
            heading,
            _expected(name, *by, sign=sign),
            unit,
            missing=(_TOO_NEW, TEXT_COLOUR) if sign == 0 else None,
            width=110,
        )
        for heading, sign in headings.items()
    )


def revenue_forecast() -> table.Panel:
    """Expected revenue of the next days."""
    return table_panel(
        PanelText(
            10,
            "Revenue forecast",
            f"Expected revenue from now on, by currency: {_METHOD}. {_RANGE}. The 30-day forecast extends the 7-day "
            "forecast.",
            "Below plan: check Revenue by client for clients with less revenue.",
            "No revenue was recorded.",
        ),
        {_HORIZON: "Next", CURRENCY: "Currency"},
        _forecast_columns(_REVENUE, CURRENCY, unit="short"),
        key_widths={"Next": 85, "Currency": 90},
        width=24,
        height=8,
    )


def revenue_vs_forecast() -> timeseries.Panel:
    """Revenue over time, with the forecast."""
    return time_series_panel(
        PanelText(
            23,
            "Revenue vs. forecast",
            f"Revenue per hour. Dashed: the forecast for that time: {_METHOD}.",
            "Revenue and forecast diverge: find the country in Revenue by country.",
            "No revenue was recorded.",
            ("TrustRevenueDrop",),
        ),
        "count:/h",
        [
            Query("{{trust_currency}}", hourly(REVENUE_BY_COUNTRY, by=(CURRENCY,))),
            Query("{{trust_currency}} forecast", per_hour(f"{_REVENUE}:rate30m_expected", by=(CURRENCY,)), dashed=True),
        ],
        width=16,
    )


def document_volume_predictions() -> table.Panel:
    """Expected documents of the next days."""
    return table_panel(
        PanelText(
            24,
            "Document volume predictions",
            f"Expected number of documents from now on: {_METHOD}. {_RANGE}. The 30-day prediction extends the 7-day "
            "prediction.",
            "Far above the current volume: check Capacity utilisation.",
            "No documents were processed.",
        ),
        {_HORIZON: "Next"},
        _forecast_columns(_VOLUME, unit="short"),
        key_widths={"Next": 85},
        width=8,
        height=8,
    )


def cost_per_transaction() -> stat.Panel:
    """Costs per processed document."""
    # A service that records no costs has no cost per transaction: its documents would make those of others look cheap.
    costs, documents = amount(COSTS, by=(*SERVICE, CURRENCY)), f"({amount(DOCUMENTS, by=SERVICE)} > 0)"
    of_services = f"{', '.join(SERVICE)}"
    with_both = f"({costs} and on ({of_services}) {documents})"
    transactions = f"({costs} * 0 + 1) * on ({of_services}) group_left () {documents}"
    query = f"{total(with_both, CURRENCY)} / {total(transactions, CURRENCY)}"
    return stat_panel(
        PanelText(
            25,
            "Cost per transaction",
            "Recorded costs in the selected time range divided by the number of processed documents, by currency, of "
            "the services that record costs.",
            "Rising: compare with Document type distribution; some types cost more to process.",
            "No documents or no costs were recorded in the selected time range, or only in the last minutes.",
        ),
        "short",
        [Query("{{trust_currency}}", query)],
        sparkline=False,
        width=5,
        height=8,
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
            "Share in use of the database connections of each service, and of the CPUs of the five busiest hosts.",
            "Above 80 %: plan additional capacity now.",
            "No service reports a connection limit, and no host reports CPU usage.",
        ),
        "percentunit",
        [
            Query(
                "Database connections {{service_name}}",
                f"max by (service_name) ({recorded(_POOLS)})",
            ),
            Query("CPU {{instance}}", highest(f"max by (instance) ({scraped(_CPU)})")),
        ],
        levels=rising(yellow=0.8, red=_FULL),
        max_value=1,
        width=8,
    )


def capacity_planning() -> stat.Panel:
    """Days until the capacity is used up, at the growth of the last week."""
    return stat_panel(
        PanelText(
            28,
            "Capacity planning",
            f"Days until {_FULL:.0%} of the capacity is in use, the red line of Capacity utilisation, if usage keeps "
            "growing as in the last week; of the pool or host that gets there first. No growth, or a year or more "
            "left, is shown as sufficient. The growth is known after a week.",
            "Below 30 days: order or provision additional capacity.",
            "No service reports a connection limit, and no host reports CPU usage.",
        ),
        "none",
        [
            Query("Connections (days left)", _days_left(recorded(_POOLS))),
            Query("CPU (days left)", _days_left(scraped(_CPU))),
        ],
        levels=falling(red=7, yellow=30),
        texts={str(_YEAR): ("sufficient (> 1 year)", "green")},
        missing=("not enough history", UNMEASURED),
        sparkline=False,
        width=5,
        height=8,
    )


def _days_left(used: str) -> str:
    """The shortest time of all series, at most a year; 0 for what is full already, NaN without a week of data."""
    grown = f"(deriv({used}[1w]) > 0 and {used} offset 1w)"
    days = f"clamp_max(clamp_min({_FULL} - {used}, 0) / {grown} / {_DAY}, {_YEAR})"
    known = f"({used} >= {_FULL}) * 0 or {days} or ({used} and {used} offset 1w) * 0 + {_YEAR}"
    return f"min({known}) or min({used}) * NaN"
