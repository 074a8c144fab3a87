"""Series names and query helpers of the business dashboard."""

from __future__ import annotations

from typing import Final

from monitoring.dashboards.queries import TIME_RANGE, recorded, total

CURRENCY: Final = "trust_currency"
SUCCESS: Final = 'trust_outcome="success"'
FAILED: Final = 'trust_outcome!="success"'

DOCUMENTS: Final = "service_document:trust_document_processing:rate5m"
DOCUMENTS_BY_COUNTRY: Final = "service_country:trust_document_processing:rate5m"
OPERATIONS: Final = "service_operation:trust_certificate_operations:rate5m"
REVENUE_BY_CLIENT: Final = "service_client:trust_revenue_amount:rate5m"
REVENUE_BY_COUNTRY: Final = "service_country:trust_revenue_amount:rate5m"
FEES: Final = "service:trust_fee_amount:rate5m"
COSTS: Final = "service:trust_cost_amount:rate5m"


def amount(name: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """Total over the selected time range of a recorded rate per second."""
    return f"{total(f'sum_over_time({recorded(name, *matchers)}[{TIME_RANGE}:1m])', *by)} * 60"


def count(name: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """As `amount`, rounded to whole events."""
    return f"round({amount(name, *matchers, by=by)})"


def hourly(name: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """A recorded rate per second as a rate per hour."""
    return f"{total(recorded(name, *matchers), *by)} * 3600"
