"""The rows of the live table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from examples.demo.measures import Measure, Quantile, Rate, Share, Sum

_REQUESTS = "http_server_request_duration_seconds_count"
_OPERATIONS = "trust_certificate_operation_duration_seconds_count"


@dataclass(frozen=True)
class Row:
    """A label, a measure, and the format of its value."""

    label: str
    measure: Measure
    write: Callable[[float], str]


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _money(value: float) -> str:
    return f"{value:,.2f}"


ROWS = (
    Row("requests per second", Rate(Sum(_REQUESTS)), lambda value: f"{value:,.1f}"),
    Row(
        "request latency (p95)",
        Quantile(0.95, "http_server_request_duration_seconds"),
        lambda value: f"{value * 1000:,.1f} ms",
    ),
    Row(
        "server error rate",
        Share(Rate(Sum(_REQUESTS, {"http_response_status_code": "5.."})), Rate(Sum(_REQUESTS))),
        lambda value: f"{value:.2%}",
    ),
    Row("certificate validations", Sum(_OPERATIONS, {"trust_certificate_operation": "validation"}), _count),
    Row("signings", Sum(_OPERATIONS, {"trust_certificate_operation": "signing"}), _count),
    Row("failed logins", Sum("trust_auth_attempts_total", {"trust_outcome": "failure"}), _count),
    *(
        Row(f"revenue in {currency}", Sum("trust_revenue_amount_total", {"trust_currency": currency}), _money)
        for currency in ("EUR", "USD", "CHF")
    ),
    Row(
        "database connections in use",
        Sum("db_client_connection_count", {"db_client_connection_state": "used"}),
        _count,
    ),
    Row("max database connections", Sum("db_client_connection_max"), _count),
    Row("Collector queue size", Sum("otelcol_exporter_queue_size"), _count),
)
