"""What is to be expected, what it costs, and for how long there is room."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import bargauge, stat, timeseries

from monitoring.dashboards.business.constants import COSTS, CURRENCY, DOCUMENTS, REVENUE_BY_COUNTRY, amount, hourly
from monitoring.dashboards.panels import About, Signal, bars, number, trend
from monitoring.dashboards.queries import recorded, scraped, series, total
from monitoring.dashboards.thresholds import falling, rising
from trust_otel.semconv.metrics import PROCESS_CPU_TIME

_REVENUE: Final = "service:trust_revenue_amount"
_VOLUME: Final = "service:trust_document_processing"
_DAY: Final = 86400
_FAR: Final = 365
_POOLS: Final = "service_pool:db_client_connections_used:ratio"
_CPU: Final = "host:node_cpu_busy:ratio_rate5m"
_METHOD: Final = (
    "the same days of last week times the growth since; before there is a whole week, the last day or the present"
)


def _expected(name: str, days: int, *matchers: str, by: tuple[str, ...] = ()) -> str:
    mean = f"{name}:rate1d_expected" if days == 1 else f"{name}:rate1w_expected"
    return f"{total(recorded(mean, *matchers), *by)} * {days * _DAY}"


def revenue() -> stat.Panel:
    """B10, in sums."""
    signals = []
    for text, days in (("24 hours", 1), ("7 days", 7), ("30 days", 30)):
        signals.append(Signal(f"{text} {{{{trust_currency}}}}", _expected(_REVENUE, days, by=(CURRENCY,))))
    return number(
        About(
            10,
            "Revenue forecast",
            f"Revenue to be expected from now on, by currency: {_METHOD}. 30 days go on as the next 7.",
            "Below the plan: look at Revenue by client for who is missing.",
            "No revenue was counted yet.",
        ),
        "short",
        signals,
        sparkline=False,
        width=24,
        height=6,
    )


def revenue_course() -> timeseries.Panel:
    """B10, over time."""
    return trend(
        About(
            23,
            "Revenue and forecast",
            f"Revenue in an hour, and dashed what was to be expected at that time: {_METHOD}.",
            "Far apart: look at Revenue by country for where.",
            "No revenue was counted yet.",
            ("TrustRevenueDrop",),
        ),
        "short",
        [
            Signal("{{trust_currency}}", hourly(REVENUE_BY_COUNTRY, by=(CURRENCY,))),
            Signal("{{trust_currency}} expected", hourly(f"{_REVENUE}:rate30m_expected", by=(CURRENCY,)), dashed=True),
        ],
        width=16,
    )


def documents() -> stat.Panel:
    """Prediction of the volume."""
    return number(
        About(
            24,
            "Volume prediction",
            f"Documents to be expected from now on: {_METHOD}. 30 days go on as the next 7.",
            "Far above what is usual: look at Capacity in use.",
            "The service has processed no document yet.",
        ),
        "short",
        [
            Signal("24 hours", f"round({_expected(_VOLUME, 1)})"),
            Signal("7 days", f"round({_expected(_VOLUME, 7)})"),
            Signal("30 days", f"round({_expected(_VOLUME, 30)})"),
        ],
        sparkline=False,
        width=8,
        height=8,
    )


def cost_per_document() -> bargauge.Panel:
    """Cost per transaction."""
    query = f"{amount(COSTS, by=(CURRENCY,))} / on () group_left () ({amount(DOCUMENTS)} > 0)"
    return bars(
        About(
            25,
            "Cost per transaction",
            "Costs that were recorded in the time shown, by currency, divided by all documents of that time.",
            "Rising: compare with Document type distribution; some types cost more.",
            "No document or no cost in the time shown.",
        ),
        "short",
        [Signal("{{trust_currency}}", query)],
        names_above=True,
        width=5,
    )


def documents_per_cpu_second() -> timeseries.Panel:
    """Resource efficiency."""
    documents = total(recorded("service:trust_document_processing:rate30m"))
    processors = total(f"rate({series(PROCESS_CPU_TIME)}[30m])")
    return trend(
        About(
            26,
            "Resource efficiency",
            "Documents for each second of processor time that the services used, over half an hour. More is better; "
            "in quiet hours it "
            "falls, because a service works a little without documents, too.",
            "Falling at the same volume: ask operations what was deployed then.",
            "The services do not say how much processor time they use.",
        ),
        "short",
        [Signal("Documents per CPU second", f"{documents} / ({processors} > 0)")],
        width=6,
    )


def capacity() -> timeseries.Panel:
    """Share of what there is that is in use."""
    return trend(
        About(
            27,
            "Capacity in use",
            "Share in use: connections of each service to its databases, and the processors of each host.",
            "Above 80 %: plan more now.",
            "No service reports a limited number of connections, and no host its processors.",
        ),
        "percentunit",
        [
            Signal(
                "Connections of {{service_name}}",
                f"max by (service_name) ({recorded(_POOLS)})",
            ),
            Signal("CPU {{instance}}", f"max by (instance) ({scraped(_CPU)})"),
        ],
        levels=rising(yellow=0.8, red=0.9),
        most=1,
        width=8,
    )


def days_left() -> stat.Panel:
    """How long the growth of the last week can go on."""
    return number(
        About(
            28,
            "Capacity planning",
            "Days until everything is in use, if it goes on growing as within the last week. A year or more is shown "
            "as 'sufficient', and so is what does not grow.",
            "Below 30 days: order or set up more.",
            "Not measured for a week yet: a limited number of connections, or the processors of a host.",
        ),
        "none",
        [
            Signal("Connections", _days_left(recorded(_POOLS))),
            Signal("Processors", _days_left(scraped(_CPU))),
        ],
        levels=falling(red=7, yellow=30),
        words={str(_FAR): ("sufficient", "green")},
        sparkline=False,
        width=5,
        height=8,
    )


def _days_left(used: str) -> str:
    """The fewest of all, at most a year."""
    grown = f"(deriv({used}[1w]) > 0 and {used} offset 1w)"
    days = f"clamp_max(clamp_min(1 - {used}, 0) / {grown} / {_DAY}, {_FAR})"
    # Without a week behind it, nothing is known of its growth.
    return f"min({days} or ({used} and {used} offset 1w) * 0 + {_FAR})"
