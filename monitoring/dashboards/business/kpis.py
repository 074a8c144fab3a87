"""Key performance indicators that services declare."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table

from monitoring.dashboards.business.constants import CURRENCY, KPI, amount
from monitoring.dashboards.panels import Column, PanelText, table_panel
from monitoring.dashboards.queries import rate, series, total
from trust_otel.semconv.metrics import TRUST_KPI_AMOUNT, TRUST_KPI_VALUE

_NAME: Final = "trust_kpi_name"
_ROW: Final = (_NAME, CURRENCY, "service_name")
_SERIES: Final = (
    *_ROW,
    "deployment_environment_name",
    "service_namespace",
    "geo_country_iso_code",
    "trust_client_name",
)


def declared_kpis() -> table.Panel:
    """The KPIs by name."""
    # Each process reports the whole value.
    value = f"max by ({', '.join(_SERIES)}) ({series(TRUST_KPI_VALUE)})"
    return table_panel(
        PanelText(
            30,
            "Service KPIs",
            "The KPIs that services declare in TRUST_OTEL_BUSINESS_METRICS_FILE. Of a counter, the total in the "
            "selected time range and the current rate; of a gauge, the current value, added up over countries and "
            "clients.",
            "A KPI is missing or far from its usual value: ask the team of the service.",
            "No service declares KPIs. Set TRUST_OTEL_BUSINESS_METRICS_FILE.",
        ),
        {_NAME: "KPI", CURRENCY: "Currency", "service_name": "Service"},
        [
            Column("Total", amount(KPI, by=_ROW)),
            Column("Rate per hour", f"{total(rate(TRUST_KPI_AMOUNT), *_ROW)} * 3600"),
            Column("Current value", total(value, *_ROW)),
        ],
        width=24,
    )
