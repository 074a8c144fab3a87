"""Documents and revenue: volume, types, countries and clients."""

from __future__ import annotations

from grafana_foundation_sdk.builders import geomap, piechart, stat, table, timeseries

from monitoring.dashboards.business.constants import (
    CURRENCY,
    DOCUMENTS,
    DOCUMENTS_BY_COUNTRY,
    FAILED,
    FEES,
    OPERATIONS,
    REFUNDS,
    REVENUE_BY_CLIENT,
    REVENUE_BY_COUNTRY,
    SLA_EVENTS,
    SUCCESS,
    amount,
    count,
    hourly,
    per_hour,
)
from monitoring.dashboards.business.sla import mean_score
from monitoring.dashboards.panels import (
    Column,
    PanelText,
    Query,
    country_map_panel,
    pie_chart_panel,
    stat_panel,
    table_panel,
    time_series_panel,
)
from monitoring.dashboards.queries import (
    TIME_RANGE,
    rate,
    ratio,
    recorded,
    series,
    total,
    zero_if_recorded,
)
from monitoring.dashboards.template import OPERATIONAL, panel_url
from monitoring.dashboards.thresholds import falling
from trust_otel.semconv.metrics import (
    TRUST_DOCUMENT_PROCESSING_DURATION,
    TRUST_REFUND_AMOUNT,
    TRUST_REVENUE_AMOUNT,
)


def kpi_overview() -> stat.Panel:
    """Key figures for the selected time range."""
    revenue, refunds = amount(REVENUE_BY_COUNTRY, by=(CURRENCY,)), amount(REFUNDS, by=(CURRENCY,))
    return stat_panel(
        PanelText(
            1,
            "KPI overview",
            "Key figures for the selected time range: processed documents and their success rate, revenue less refunds "
            "and fees by currency, certificates issued, SLA compliance, and mean customer satisfaction from 1 (worst) "
            "to 5 (best).",
            "To see when and why a figure changed, look at the panel for that figure below.",
            "No document, payment or score was recorded in the selected time range, or only in the last minutes.",
        ),
        "short",
        [
            Query("Documents", count(DOCUMENTS)),
            Query("Success rate", ratio(amount(DOCUMENTS, SUCCESS), amount(DOCUMENTS)), "percentunit"),
            Query("Revenue {{trust_currency}}", f"{revenue} - on ({CURRENCY}) ({refunds} or {revenue} * 0)"),
            Query("Fees {{trust_currency}}", amount(FEES, by=(CURRENCY,))),
            Query("Certificates issued", count(OPERATIONS, 'trust_certificate_operation="issuance"', SUCCESS), "short"),
            Query("SLA compliance", f"1 - {ratio(amount(SLA_EVENTS, FAILED), amount(SLA_EVENTS))}", "percentunit"),
            Query("Satisfaction (out of 5)", mean_score(TIME_RANGE), "short"),
        ],
        sparkline=False,
        width=20,
        height=8,
    )


def documents_vs_expected() -> stat.Panel:
    """Current rate of documents against the last half hour: the first panel to show a drop."""
    half_hour = recorded("service:trust_document_processing:rate30m")
    # For a service that has been running for less than half an hour, this rate is too low to compare with.
    expected = total(f"({half_hour} and {half_hour} offset 30m)", "service_name")
    latest = total(
        f"irate({series(TRUST_DOCUMENT_PROCESSING_DURATION, part='_count')}[1m])",
        "service_name",
    )
    recent = total(recorded(f"{DOCUMENTS.name}:rate5m"), "service_name")
    return stat_panel(
        PanelText(
            29,
            "Documents vs. expected",
            "Current rate of processed documents as a share of the mean rate of the last half hour. At 100 %, the "
            "rate is unchanged. The current rate covers the last seconds; at low volume, the last 5 minutes.",
            "Far below 100 %: customers cannot submit documents, or a component in front of the service fails. Ask "
            "operations first, then the customers.",
            "No documents in the last half hour, or the service has been running for less than half an hour.",
            links={"Operations": panel_url(OPERATIONAL, 1)},
        ),
        "percentunit",
        [
            Query(
                "{{service_name}}",
                f"{latest} / ({expected} > {_MIN_DOCUMENTS / _EXPORT_SECONDS:.2g}) or {recent} / ({expected} > 0)",
            )
        ],
        # With ten expected documents, fewer than three arrive by chance in 1 of 400 cases.
        levels=falling(yellow=0.7, red=0.3),
        sparkline=False,
        width=4,
        height=8,
    )


# Documents that must be expected between two exports; with fewer, the rate of the last seconds is noise.
_MIN_DOCUMENTS = 10
_EXPORT_SECONDS = 15


def document_volume() -> timeseries.Panel:
    """Document volume with its expected range and forecast."""
    name = "service:trust_document_processing:rate30m"
    return time_series_panel(
        PanelText(
            2,
            "Document volume trends",
            "Documents per hour. Dashed: the expected range, which is the minimum and maximum at this time one day "
            "and one week ago, and the forecast, which is last week's volume times the growth since.",
            "Below the expected range: check whether customers or a country stopped sending documents. Above it: "
            "check Capacity utilisation.",
            "No documents were processed.",
            ("TrustProcessingVolumeUnusual",),
        ),
        "count:/h",
        [
            Query("Documents", hourly(DOCUMENTS), colour="blue"),
            Query("Expected range (min)", per_hour(f"{name}_usual_min"), dashed=True, colour="yellow"),
            Query("Expected range (max)", per_hour(f"{name}_usual_max"), dashed=True, colour="orange"),
            Query("Forecast", per_hour(f"{name}_expected"), dashed=True, colour="green"),
        ],
        width=16,
        height=11,
    )


def document_types() -> piechart.Panel:
    """Documents by type."""
    return pie_chart_panel(
        PanelText(
            7,
            "Document type distribution",
            "Documents by type in the selected time range.",
            "A type is missing or has grown sharply: ask the customers who send it.",
            "No documents were processed in the selected time range, or only in the last minutes.",
        ),
        "short",
        [Query("{{trust_document_type}}", count(DOCUMENTS, by=("trust_document_type",)))],
        width=8,
        height=11,
    )


def revenue_by_country() -> timeseries.Panel:
    """Revenue over time by country."""
    by = ("geo_country_iso_code", CURRENCY)
    expected_min = "service:trust_revenue_amount:rate30m_usual_min"
    refunds = f"{total(rate(TRUST_REFUND_AMOUNT), CURRENCY)} * 3600"
    no_refunds = zero_if_recorded(TRUST_REVENUE_AMOUNT, by=(CURRENCY,))
    return time_series_panel(
        PanelText(
            3,
            "Revenue by country",
            "Revenue per hour by country and currency, before refunds. Dashed: the minimum at this time one day and "
            "one week ago, and the refunds, by currency over all countries. Currencies are never added up.",
            "One country drops: contact its customers. All countries drop: check Document volume trends and SLA "
            "compliance.",
            "No revenue was recorded.",
            ("TrustRevenueDrop",),
        ),
        "count:/h",
        [
            Query("{{trust_currency}} {{geo_country_iso_code}}", hourly(REVENUE_BY_COUNTRY, by=by)),
            Query(
                "{{trust_currency}} expected (min)",
                per_hour(expected_min, by=(CURRENCY,)),
                dashed=True,
                colour="yellow",
            ),
            Query("{{trust_currency}} refunds", f"{refunds} or {no_refunds}", dashed=True, colour="red"),
        ],
        height=11,
    )


def revenue_by_client() -> table.Panel:
    """Revenue by client."""
    by = (CURRENCY, "trust_client_name")
    refunds = f"{amount(REFUNDS, by=by)} or {amount(REVENUE_BY_CLIENT, by=by)} * 0"
    return table_panel(
        PanelText(
            20,
            "Revenue by client",
            "Revenue of each client in the selected time range before refunds, and the refunds, by currency. Clients "
            "that TRUST_OTEL_CLIENT_NAMES does not list are combined in _other.",
            "A client is missing or far below its usual revenue: contact its account manager.",
            "No revenue was recorded in the selected time range, or only in the last minutes.",
        ),
        {"trust_client_name": "Client", CURRENCY: "Currency"},
        [
            Column("Revenue", amount(REVENUE_BY_CLIENT, by=by)),
            Column("Rate per hour", hourly(REVENUE_BY_CLIENT, by=by)),
            Column("Refunds", refunds),
        ],
        sort="Revenue",
        key_widths={"Client": 110, "Currency": 90},
        width=12,
        height=11,
    )


def geographic_usage() -> geomap.Panel:
    """Documents by country."""
    return country_map_panel(
        PanelText(
            9,
            "Geographic usage",
            "Documents in the selected time range by country of origin.",
            "A country is missing: check its revenue in Revenue by country, and contact its customers.",
            "No documents with a country were recorded in the selected time range, or only in the last minutes.",
        ),
        "short",
        Query(
            "Documents",
            count(DOCUMENTS_BY_COUNTRY, 'geo_country_iso_code!=""', by=("geo_country_iso_code",)),
        ),
        "geo_country_iso_code",
    )
