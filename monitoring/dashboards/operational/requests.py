"""HTTP: rate, latency, errors, budgets, and who is there."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table, timeseries

from monitoring.dashboards.operational.constants import ERROR_LIMIT, ERRORS, HTTP, LATENCY_LIMIT, OF_HTTP, SESSIONS
from monitoring.dashboards.panels import (
    About,
    Column,
    Signal,
    rows,
    trend,
)
from monitoring.dashboards.queries import RATE, quantile, recorded, series, share, total
from monitoring.dashboards.template import SECURITY, panel_url
from monitoring.dashboards.thresholds import limit, rising
from trust_otel.semconv.metrics import (
    HTTP_SERVER_REQUEST_DURATION,
    TRUST_SESSION_ACTIVE,
)

# The factor of the fastest burn rate, of which the alerts have the product with each budget.
_PAGE = 14.4


def requests() -> timeseries.Panel:
    """O2."""
    buckets = total(recorded("service:http_server_request_duration_seconds_bucket:rate2m"), "le")
    measured = total(f"rate({series(HTTP_SERVER_REQUEST_DURATION, part='_bucket')}[{RATE}] @ end())", "le")
    return trend(
        About(
            HTTP,
            "HTTP request rate and latency",
            "How long requests take, with the limit of the alert as a dashed line, and how many there are (right "
            "axis).",
            "Latency rises with the rate: look at pools, thread pools and CPU. It rises without: look at "
            "dependencies and the "
            "database. Only p99 rises: look for a slow route below.",
            OF_HTTP,
            alerts=("TrustServiceHighLatency", "TrustLatencyBudgetBurn"),
        ),
        "s",
        (
            # Traces are kept beside what was measured, not beside what was recorded of it. Measured is looked at once,
            # because there is much of it; and first, because Grafana asks for traces of a histogram only in the first
            # query that names it.
            Signal("p99 at the end", f"histogram_quantile(0.99, {measured})", dashed=True, exemplars=True),
            *(Signal(f"p{q * 100:g}", f"histogram_quantile({q:g}, {buckets})") for q in (0.5, 0.95, 0.99)),
            Signal("requests", total(recorded("service:http_server_requests:rate2m")), "reqps"),
        ),
        levels=rising(red=LATENCY_LIMIT),
    )


def error_rate() -> timeseries.Panel:
    """O3."""
    return trend(
        About(
            ERRORS,
            "Error rate",
            "Share of HTTP requests that the service failed (5xx), over two minutes, with the limit of the alert.",
            "See below which routes fail. One route: its code or its dependency. All routes: database, deployment, "
            "or host.",
            OF_HTTP,
            alerts=("TrustServiceHighErrorRate", "TrustAvailabilityBudgetBurn"),
        ),
        "percentunit",
        (
            Signal(
                "{{service_name}}",
                f"max by (service_name) ({recorded('service:http_server_errors_per_request:ratio_rate2m')}"
                f" or {recorded('service:http_server_requests:rate2m')} * 0)",
            ),
        ),
        levels=rising(red=ERROR_LIMIT),
    )


def routes() -> table.Panel:
    """Which route it is."""
    keys = ("service_name", "http_request_method", "http_route")

    def count(*matchers: str) -> str:
        return total(f"rate({series(HTTP_SERVER_REQUEST_DURATION, *matchers, part='_count')}[5m])", *keys)

    return rows(
        About(
            21,
            "Routes",
            "What each route has done in the last five minutes. Requests without a route matched none.",
            "A slow or failing route tells which code and which dependency to look at.",
            "No HTTP request has been measured in the last five minutes.",
        ),
        {"service_name": "Service", "http_request_method": "Method", "http_route": "Route"},
        (
            Column("Requests", count(), "reqps"),
            Column(
                "Errors",
                share(count('http_response_status_code=~"5.."'), count()),
                "percentunit",
                levels=rising(yellow=ERROR_LIMIT / 5, red=ERROR_LIMIT),
            ),
            Column(
                "Refused",
                share(count('http_response_status_code=~"4.."'), count()),
                "percentunit",
            ),
            Column(
                "Latency (p95)",
                quantile(0.95, HTTP_SERVER_REQUEST_DURATION, by=keys, over="5m"),
                "s",
                levels=rising(yellow=LATENCY_LIMIT / 4, red=LATENCY_LIMIT),
            ),
        ),
        sort="Requests",
        key_widths={"Service": 130, "Method": 80, "Route": 240},
        width=14,
        height=9,
    )


def budgets() -> table.Panel:
    """The objectives."""
    fast = {
        slo: limit(alert, "service:slo_errors_per_event:ratio_rate1h", "critical")
        for slo, alert in (
            ("availability", "TrustAvailabilityBudgetBurn"),
            ("latency", "TrustLatencyBudgetBurn"),
            ("validation", "TrustValidationBudgetBurn"),
        )
    }

    def burn(window: str) -> str:
        errors = f"service:slo_errors_per_event:ratio_rate{window}"
        budgets = {f'slo="{slo}"': value / _PAGE for slo, value in fast.items()}
        parts = (f"{recorded(errors, slo)} / {budget:g}" for slo, budget in budgets.items())
        return f"max by (service_name, slo) ({' or '.join(parts)})"

    return rows(
        About(
            22,
            "How fast error budgets burn",
            f"1 uses up exactly the budget of 30 days. At {_PAGE:g} over an hour (and five minutes) somebody is paged.",
            "A high value in the short window only is over soon. High in both: act now, by the runbook of the "
            "objective.",
            "Nothing has been measured that has an objective.",
            alerts=("TrustAvailabilityBudgetBurn", "TrustLatencyBudgetBurn", "TrustValidationBudgetBurn"),
        ),
        {"service_name": "Service", "slo": "Objective"},
        [
            Column(window, burn(window), "none", levels=rising(yellow=1, red=_PAGE), width=80)
            for window in ("5m", "1h", "6h", "1d")
        ],
        width=10,
        height=9,
    )


def sessions() -> timeseries.Panel:
    """O6."""
    return trend(
        About(
            SESSIONS,
            "Active user sessions",
            "Sessions that are open now.",
            "A sudden fall: people are thrown out, or cannot log in (see authentication on the security dashboard). "
            "A sudden rise: a campaign, or a machine.",
            "The service reports no sessions; record_session tells of them.",
            links={"Authentication": panel_url(SECURITY, 2)},
        ),
        "short",
        (Signal("{{service_name}}", total(series(TRUST_SESSION_ACTIVE), "service_name")),),
        width=6,
    )
