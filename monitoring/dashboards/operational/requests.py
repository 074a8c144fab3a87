"""HTTP request rate, latency, errors and error budgets; active user sessions."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table, timeseries

from monitoring.dashboards.operational.constants import (
    ERROR_LIMIT,
    ERRORS,
    HTTP,
    LATENCY_LIMIT,
    NO_HTTP,
    OF_CRITICAL_ROUTES,
    SESSIONS,
)
from monitoring.dashboards.panels import (
    Column,
    PanelText,
    Query,
    table_panel,
    time_series_panel,
)
from monitoring.dashboards.queries import (
    INSTANCE,
    RATE,
    highest,
    mean,
    named,
    quantile,
    ratio,
    recorded,
    series,
    total,
)
from monitoring.dashboards.template import SECURITY, panel_url
from monitoring.dashboards.thresholds import GREEN, YELLOW, Levels, falling, rising
from trust_otel.semconv.metrics import (
    HTTP_SERVER_REQUEST_DURATION,
    TRUST_SESSION_ACTIVE,
    TRUST_SESSION_STORED,
)

_OF_SERVICE: Final = ("deployment_environment_name", "service_namespace", "service_name")
_ABOVE_ONE: Final = Levels(GREEN, ((1, YELLOW),))


def mean_latency_by_instance(over: str = RATE) -> str:
    """Mean latency of the HTTP requests of each instance, in seconds."""
    return named(mean(HTTP_SERVER_REQUEST_DURATION, by=INSTANCE, over=over))


def errors_by_instance(over: str = RATE) -> str:
    """Share of HTTP requests of each instance that were answered with a 5xx status."""

    def requests(*matchers: str) -> str:
        counted = series(HTTP_SERVER_REQUEST_DURATION, *matchers, part="_count")
        return total(f"rate({counted}[{over}])", *INSTANCE)

    return named(ratio(requests('http_response_status_code=~"5.."'), requests()))


def request_rate_and_latency() -> timeseries.Panel:
    """Latency percentiles and request rate."""
    buckets = total(recorded("service:http_server_request_duration_seconds_bucket:rate2m"), "le")
    raw = series(HTTP_SERVER_REQUEST_DURATION, part="_bucket").replace("}", "<<and_critical_routes>>}")
    measured = total(f"rate({raw}[{RATE}] @ end())", "le")
    return time_series_panel(
        PanelText(
            HTTP,
            "HTTP request rate and latency",
            f"Latency percentiles{OF_CRITICAL_ROUTES} with the alert threshold as a dashed line, and the request rate "
            "(right axis). Below, the mean latency of the three slowest instances."
            "<<critical_routes  Request rate and instances are of all routes.>>",
            "Latency rises with the request rate: check connection pools, thread pools and CPU. Latency rises "
            "while the request rate does not: check dependencies and the database. Only p99 rises: find the slow "
            "route in Requests by route.",
            NO_HTTP,
            alerts=("TrustServiceHighLatency", "TrustLatencyBudgetBurn"),
        ),
        "s",
        (
            # Exemplars belong to the raw histogram, not to the recorded series. It has many series, so it is evaluated
            # only once (at the end). It comes first because Grafana requests the exemplars of a histogram only for the
            # first query that reads it.
            Query("Exemplars", f"histogram_quantile(0.99, {measured})", exemplars=True, hidden=True),
            *(
                Query(f"p{q * 100:g}", f"histogram_quantile({q:g}, {buckets})", colour=colour)
                for q, colour in ((0.5, "light-purple"), (0.95, "purple"), (0.99, "dark-purple"))
            ),
            Query("Request rate", total(recorded("service:http_server_requests:rate2m")), "reqps", colour="blue"),
            Query("{{instance_name}} (mean)", highest(mean_latency_by_instance(), 3), colour="orange"),
        ),
        levels=rising(red=LATENCY_LIMIT),
        highest_first=True,
        height=10,
    )


def error_rate() -> timeseries.Panel:
    """Share of 5xx responses."""
    return time_series_panel(
        PanelText(
            ERRORS,
            "Error rate",
            "Share of HTTP requests answered with a 5xx status within 2 minutes, by service, and of the five instances "
            "with the highest share. The dashed line is the alert threshold. A gap means that there were no requests.",
            "Find the failing routes in Requests by route. One route: check its code or its dependency. All routes: "
            "check the database, the last deployment and the host.",
            NO_HTTP,
            alerts=("TrustServiceHighErrorRate", "TrustAvailabilityBudgetBurn"),
        ),
        "percentunit",
        (
            Query(
                "{{service_name}}",
                f"max by (service_name) ({recorded('service:http_server_errors_per_request:ratio_rate2m')})",
            ),
            Query("{{instance_name}}", highest(errors_by_instance())),
        ),
        levels=rising(red=ERROR_LIMIT),
        highest_first=True,
        height=10,
    )


def routes() -> table.Panel:
    """Request rate, errors and latency by route."""
    keys = ("service_name", "http_request_method", "http_route")

    def count(*matchers: str) -> str:
        return total(f"rate({series(HTTP_SERVER_REQUEST_DURATION, *matchers, part='_count')}[5m])", *keys)

    return table_panel(
        PanelText(
            21,
            "Requests by route",
            "Request rate, error rates and latency of each route over 5 minutes. Errors are 5xx responses, client "
            "errors are 4xx responses. Requests without a route matched none.",
            "Check the code and the dependencies of the route that is slow or fails.",
            "No HTTP requests were recorded in the last 5 minutes.",
        ),
        {"service_name": "Service", "http_request_method": "Method", "http_route": "Route"},
        (
            Column("Requests", count(), "reqps"),
            Column(
                "Errors",
                ratio(count('http_response_status_code=~"5.."'), count()),
                "percentunit",
                levels=rising(yellow=ERROR_LIMIT / 5, red=ERROR_LIMIT),
            ),
            Column(
                "Client errors",
                ratio(count('http_response_status_code=~"4.."'), count()),
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
        key_widths={"Service": 150, "Method": 80},
        width=13,
        height=9,
    )


def error_budgets() -> table.Panel:
    """Target, budget left and burn rates of each declared objective."""
    keys = ("service_name", "slo")

    def burn(window: str) -> str:
        errors = recorded(f"service:slo_errors_per_event:ratio_rate{window}")
        return f"max by ({', '.join(keys)}) ({errors} / on (slo) group_left () slo:error_budget:ratio)"

    events = recorded("service:slo_events:rate5m")
    budget = f"max by ({', '.join(keys)}) ({events} * 0 + on (slo) group_left () slo:error_budget:ratio)"
    # Objectives without events are listed too.
    target = f"1 - ({budget} or (slo:error_budget:ratio unless on (slo) {events}))"
    return table_panel(
        PanelText(
            22,
            "Error budgets",
            "Each declared objective: its target, the share of the error budget left in its window, and burn rates. A "
            "burn rate of 1 uses up exactly the budget in the window of the objective. An objective without values has "
            "no events of the selected services.",
            "High in the short window only: a spike that has little effect on the budget. High in the 5m and 1h "
            "windows: follow the runbook of the objective now.",
            "No objective is declared. Add objectives to the site file.",
            alerts=("TrustAvailabilityBudgetBurn", "TrustLatencyBudgetBurn", "TrustValidationBudgetBurn"),
        ),
        {"service_name": "Service", "slo": "Objective"},
        [
            Column("Target", target, "percentunit"),
            Column(
                "Budget left",
                f"min by ({', '.join(keys)}) ({recorded('service:slo_error_budget_left:ratio')})",
                "percentunit",
                levels=falling(red=0, yellow=0.25),
            ),
            *(
                Column(window, burn(window), "none", levels=_ABOVE_ONE, decimals=2)
                for window in ("5m", "1h", "6h", "1d")
            ),
        ],
        key_widths={"Service": 130, "Objective": 88},
        width=11,
        height=9,
    )


def active_sessions() -> timeseries.Panel:
    """Active user sessions."""
    # Every process reports the whole store. A session may end in another process than it started in, which may be gone.
    stored = f"max by ({', '.join(_OF_SERVICE)}) ({series(TRUST_SESSION_STORED)})"
    counted = f"clamp_min({total(series(TRUST_SESSION_ACTIVE), *_OF_SERVICE)}, 0)"
    return time_series_panel(
        PanelText(
            SESSIONS,
            "Active user sessions",
            "User sessions that are open now: the number in the session store (observe_sessions()) if the service "
            "reports it, otherwise started minus ended sessions, at least 0.",
            "Sudden drop: users lose their sessions or cannot log in, see authentication on the security dashboard. "
            "Sudden rise: check for a campaign or automated clients.",
            "No service records sessions. Report them with observe_sessions().",
            links={"Authentication": panel_url(SECURITY, 2)},
        ),
        "short",
        (Query("{{service_name}}", total(f"{stored} or {counted}", "service_name")),),
        width=6,
    )
