"""Totals, rates and labels of the business dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from monitoring.dashboards.queries import TIME_RANGE, Part, recorded, series, total, with_label
from trust_otel.semconv.definitions import Metric
from trust_otel.semconv.metrics import (
    TRUST_CERTIFICATE_OPERATION_DURATION,
    TRUST_CLIENT_REQUESTS,
    TRUST_COST_AMOUNT,
    TRUST_CUSTOMER_SATISFACTION,
    TRUST_DOCUMENT_PROCESSING_DURATION,
    TRUST_FEE_AMOUNT,
    TRUST_KPI_AMOUNT,
    TRUST_REFUND_AMOUNT,
    TRUST_REVENUE_AMOUNT,
    TRUST_SLA_EVENTS,
)

CLIENT: Final = "trust_client_name"
CURRENCY: Final = "trust_currency"
COUNTRY: Final = "geo_country_iso_code"
SUCCESS: Final = 'trust_outcome="success"'
FAILED: Final = 'trust_outcome!="success"'

SERVICE: Final = ("deployment_environment_name", "service_namespace", "service_name")


@dataclass(frozen=True)
class Recorded:
    """A counter whose increase is recorded every two minutes, over all instances of a service.

    Attributes:
        name: Level and metric of the recorded series, without the operation.
        metric: The counter or histogram.
        labels: Labels of the recorded series besides those of the service.
        part: Series of a histogram.
    """

    name: str
    metric: Metric
    labels: tuple[str, ...] = ()
    part: Part = ""


DOCUMENTS: Final = Recorded(
    "service_document:trust_document_processing",
    TRUST_DOCUMENT_PROCESSING_DURATION,
    ("trust_document_type", "trust_outcome"),
    "_count",
)
DOCUMENTS_BY_COUNTRY: Final = Recorded(
    "service_country:trust_document_processing", TRUST_DOCUMENT_PROCESSING_DURATION, (COUNTRY,), "_count"
)
OPERATIONS: Final = Recorded(
    "service_operation:trust_certificate_operations",
    TRUST_CERTIFICATE_OPERATION_DURATION,
    ("trust_certificate_operation", "trust_outcome"),
    "_count",
)
REVENUE_BY_CLIENT: Final = Recorded("service_client:trust_revenue_amount", TRUST_REVENUE_AMOUNT, (CURRENCY, CLIENT))
REVENUE_BY_COUNTRY: Final = Recorded("service_country:trust_revenue_amount", TRUST_REVENUE_AMOUNT, (CURRENCY, COUNTRY))
REFUNDS: Final = Recorded("service_client:trust_refund_amount", TRUST_REFUND_AMOUNT, (CURRENCY, CLIENT))
FEES: Final = Recorded("service:trust_fee_amount", TRUST_FEE_AMOUNT, (CURRENCY,))
COSTS: Final = Recorded("service:trust_cost_amount", TRUST_COST_AMOUNT, (CURRENCY,))
SLA_EVENTS: Final = Recorded("service:trust_sla_events", TRUST_SLA_EVENTS, ("trust_sla_name", "trust_outcome"))
REQUESTS_BY_CLIENT: Final = Recorded(
    "service_client:trust_client_requests", TRUST_CLIENT_REQUESTS, (CLIENT, "trust_outcome")
)
SLA_EVENTS_BY_CLIENT: Final = Recorded("service_client:trust_sla_events", TRUST_SLA_EVENTS, (CLIENT, "trust_outcome"))
SCORES: Final = Recorded("service:trust_customer_satisfaction_bucket", TRUST_CUSTOMER_SATISFACTION, ("le",), "_bucket")
SUM_OF_SCORES: Final = Recorded("service:trust_customer_satisfaction_sum", TRUST_CUSTOMER_SATISFACTION, (), "_sum")
KPI: Final = Recorded("service:trust_kpi_amount", TRUST_KPI_AMOUNT, ("trust_kpi_name", CURRENCY))


def amount(of: Recorded, *matchers: str, by: tuple[str, ...] = (), over: str = TIME_RANGE) -> str:
    """Exact total over a window.

    The sum of the recorded increases, plus what was counted after the last of them, minus the same at the start of the
    window: the first recorded increase began earlier.
    """
    parts = {
        "sum": f"sum_over_time({recorded(f'{of.name}:increase2m', *matchers)}[{over}])",
        "end": _after_the_last_increase(of, *matchers),
        "start": f"{_after_the_last_increase(of, *matchers, at=f' offset {over}')} * -1",
        "new": f"{_since_its_start(of, *matchers)} unless last_over_time({_recorded_state(of, *matchers)}[1h])",
    }
    return total(" or ".join(with_label(f"({part})", "part", name) for name, part in parts.items()), *by)


def _after_the_last_increase(of: Recorded, *matchers: str, at: str = "") -> str:
    return f"clamp_min({_counted(of, *matchers, at=at)} - {_recorded_state(of, *matchers)}{at}, 0)"


def _since_its_start(of: Recorded, *matchers: str) -> str:
    """What a counter counted that is too new for a recorded increase."""
    counter = series(of.metric, *matchers, part=of.part)
    return total(f"{counter} - min_over_time({counter}[5m])", *SERVICE, *of.labels)


def _counted(of: Recorded, *matchers: str, at: str = "") -> str:
    return total(series(of.metric, *matchers, part=of.part) + at, *SERVICE, *of.labels)


def _recorded_state(of: Recorded, *matchers: str) -> str:
    """The counters up to which increases are recorded."""
    return recorded(f"{of.name}:sum_offset1m", *matchers)


def count(of: Recorded, *matchers: str, by: tuple[str, ...] = (), over: str = TIME_RANGE) -> str:
    """As `amount`, rounded to whole events."""
    return f"round({amount(of, *matchers, by=by, over=over)})"


def hourly(of: Recorded, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """Rate per hour over five minutes."""
    return per_hour(f"{of.name}:rate5m", *matchers, by=by)


def per_hour(name: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """A recorded rate per second as a rate per hour."""
    return f"{total(recorded(name, *matchers), *by)} * 3600"
