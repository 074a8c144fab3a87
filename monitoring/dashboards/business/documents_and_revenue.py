"""Documents and money: how much, of what, from where."""

from __future__ import annotations

from grafana_foundation_sdk.builders import geomap, piechart, stat, table, timeseries

from monitoring.dashboards.business.constants import (
    CURRENCY,
    DOCUMENTS,
    DOCUMENTS_BY_COUNTRY,
    FEES,
    OPERATIONS,
    REVENUE_BY_CLIENT,
    REVENUE_BY_COUNTRY,
    SUCCESS,
    amount,
    count,
    hourly,
)
from monitoring.dashboards.business.sla import mean_score
from monitoring.dashboards.panels import About, Column, Signal, number, pie, rows, trend, world
from monitoring.dashboards.queries import SHOWN, recorded, series, share, total
from monitoring.dashboards.template import OPERATIONAL, panel_url
from monitoring.dashboards.thresholds import falling
from trust_otel.semconv.metrics import TRUST_DOCUMENT_PROCESSING_DURATION


def overview() -> stat.Panel:
    """B1."""
    events = total(f"sum_over_time({recorded('service:trust_sla_events:rate30m')}[{SHOWN}:1m])")
    missed = total(f"sum_over_time({recorded('service:trust_sla_misses:rate30m')}[{SHOWN}:1m])")
    return number(
        About(
            1,
            "KPI overview",
            "The most important numbers of the time shown: documents that were processed and how many of them "
            "well, revenue and fees by currency, certificates issued, how much of what the agreements promise "
            "was kept, and the customers' mean score from 1 (worst) to 5 (best).",
            "For how and since when a number has changed, look at the panel below about the same.",
            "No document, payment or score has arrived in the time shown.",
        ),
        "short",
        [
            Signal("Documents", count(DOCUMENTS)),
            Signal("Processed well", share(amount(DOCUMENTS, SUCCESS), amount(DOCUMENTS)), "percentunit"),
            Signal("Revenue {{trust_currency}}", amount(REVENUE_BY_COUNTRY, by=(CURRENCY,))),
            Signal("Fees {{trust_currency}}", amount(FEES, by=(CURRENCY,))),
            Signal(
                "Certificates issued", count(OPERATIONS, 'trust_certificate_operation="issuance"', SUCCESS), "short"
            ),
            Signal("Agreements kept", f"1 - {missed} / ({events} > 0)", "percentunit"),
            Signal("Satisfaction of 5", mean_score(SHOWN), "short"),
        ],
        sparkline=False,
        width=20,
        height=6,
    )


def pace() -> stat.Panel:
    """Whether documents arrive as they did just before; the first to show that they do not."""
    half_hour = recorded("service:trust_document_processing:rate30m")
    # Of a service that is younger, the rate over half an hour is too low, and every pace would look good beside it.
    usual = total(f"({half_hour} and {half_hour} offset 30m)", "service_name")
    now = total(
        f"irate({series(TRUST_DOCUMENT_PROCESSING_DURATION, part='_count')}[1m])",
        "service_name",
    )
    lately = total(recorded(DOCUMENTS), "service_name")
    return number(
        About(
            29,
            "Pace of documents",
            "Documents of the last seconds against those of the last half hour; where they are few, of the last "
            "minutes. At 100 % all is as before.",
            "Far below: customers cannot hand in documents, or something is wrong before the service. Ask operations "
            "before you ask customers.",
            "No document in the last half hour, or the service has not run for half an hour yet.",
            links={"Operations": panel_url(OPERATIONAL, 1)},
        ),
        "percentunit",
        [Signal("{{service_name}}", f"{now} / ({usual} > {_JUDGED / _EXPORT:.2g}) or {lately} / ({usual} > 0)")],
        # Chance alone takes ten expected documents below three once in 400 times.
        levels=falling(yellow=0.7, red=0.3),
        sparkline=False,
        width=4,
        height=6,
    )


# So many documents must be expected between two exports (seconds), or a few seconds say nothing.
_JUDGED = 10
_EXPORT = 15


def volume() -> timeseries.Panel:
    """B2."""
    name = "service:trust_document_processing:rate30m"
    return trend(
        About(
            2,
            "Document volume trends",
            "Documents in an hour. The dashed lines are the least and the most that was usual at this time a day and "
            "a week ago, and what is expected: last week's course times the growth since.",
            "Far below the usual: ask whether customers or a country have stopped sending. Far above: see Capacity.",
            "The service has processed no document yet.",
            ("TrustProcessingVolumeUnusual",),
        ),
        "short",
        [
            Signal("Documents", hourly(DOCUMENTS), colour="blue"),
            Signal("Usual, least", hourly(f"{name}_usual_min"), dashed=True, colour="yellow"),
            Signal("Usual, most", hourly(f"{name}_usual_max"), dashed=True, colour="orange"),
            Signal("Expected", hourly(f"{name}_expected"), dashed=True, colour="green"),
        ],
        width=16,
        height=9,
    )


def types() -> piechart.Panel:
    """B7."""
    return pie(
        About(
            7,
            "Document type distribution",
            "Documents of each type in the time shown.",
            "A type that is missing or has grown a lot: ask the customers who send it.",
            "No document was processed in the time shown.",
        ),
        "short",
        [Signal("{{trust_document_type}}", count(DOCUMENTS, by=("trust_document_type",)))],
        width=8,
        height=9,
    )


def revenue_by_country() -> timeseries.Panel:
    """B3, the countries."""
    by = ("geo_country_iso_code", CURRENCY)
    usual = "service:trust_revenue_amount:rate30m_usual_min"
    return trend(
        About(
            3,
            "Revenue by country",
            "Revenue in an hour by country and currency. The dashed lines are the least that was usual at this time "
            "a day and a week ago, over all countries. Currencies are never added.",
            "One country falls: ask its customers. All fall: look at Document volume and SLA compliance.",
            "No revenue was counted yet.",
            ("TrustRevenueDrop",),
        ),
        "short",
        [
            Signal("{{trust_currency}} {{geo_country_iso_code}}", hourly(REVENUE_BY_COUNTRY, by=by)),
            Signal("{{trust_currency}} least usual", hourly(usual, by=(CURRENCY,)), dashed=True, colour="yellow"),
        ],
        height=11,
    )


def revenue_by_client() -> table.Panel:
    """B3, the clients."""
    by = (CURRENCY, "trust_client_name")
    return rows(
        About(
            20,
            "Revenue by client",
            "Revenue of each client in the time shown, by currency. Clients that the service's settings do not name "
            "are together in _other.",
            "A client that is missing or far down: ask its account manager.",
            "No revenue was counted in the time shown.",
        ),
        {"trust_client_name": "Client", CURRENCY: "Currency"},
        [
            Column("Revenue", amount(REVENUE_BY_CLIENT, by=by)),
            Column("In an hour, now", hourly(REVENUE_BY_CLIENT, by=by)),
        ],
        sort="Revenue",
        width=12,
        height=11,
    )


def world_map() -> geomap.Panel:
    """B9."""
    return world(
        About(
            9,
            "Geographic usage",
            "Documents of the time shown by the country that they came from.",
            "A country that is missing: look whether its revenue has stopped, too, and ask its customers.",
            "No document of the time shown had a country.",
        ),
        "short",
        Signal(
            "Documents",
            count(DOCUMENTS_BY_COUNTRY, 'geo_country_iso_code!=""', by=("geo_country_iso_code",)),
        ),
        "geo_country_iso_code",
    )
