"""Rate limiting and access control."""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries

from monitoring.dashboards.panels import PanelText, Query, time_series_panel
from monitoring.dashboards.queries import increase, total, zero_if_recorded
from monitoring.dashboards.security.constants import (
    ADDRESSES,
    NO_DECISIONS,
    RATE_LIMIT_LIMIT,
    RATE_LIMITING,
    whole_events,
)
from monitoring.dashboards.template import SECURITY, panel_url
from monitoring.dashboards.thresholds import rising
from trust_otel.semconv.metrics import (
    HTTP_SERVER_REQUEST_DURATION,
    RPC_SERVER_CALL_DURATION,
    TRUST_AUTHZ_DECISIONS,
    TRUST_SECURITY_RATE_LIMITED,
)


def rate_limiting() -> timeseries.Panel:
    """Rate-limited and blocked requests."""
    limits = total(increase(TRUST_SECURITY_RATE_LIMITED, over="5m"), "trust_rate_limit_name")

    def answers(code: str) -> str:
        matcher = f'http_response_status_code="{code}"'
        return whole_events(
            total(increase(HTTP_SERVER_REQUEST_DURATION, matcher, part="_count", over="5m")),
            zero_if_recorded(HTTP_SERVER_REQUEST_DURATION, part="_count"),
        )

    return time_series_panel(
        PanelText(
            RATE_LIMITING,
            "Rate limiting and blocking",
            "Requests refused within 5 minutes by each rate limit, with the alert threshold as a dashed line, and "
            "responses with status 429 (too many requests) and 403 (forbidden).",
            "One limit refuses many requests of few addresses: it works as intended. It refuses regular users: "
            "raise the limit.",
            "No service records HTTP requests or rate-limited requests.",
            alerts=("TrustExcessiveRateLimiting",),
            links={"Failed authentication by IP address": panel_url(SECURITY, ADDRESSES)},
        ),
        "none",
        (
            Query(
                "Rate limit {{trust_rate_limit_name}}",
                whole_events(limits, zero_if_recorded(TRUST_SECURITY_RATE_LIMITED, by=("trust_rate_limit_name",))),
            ),
            Query("HTTP 429", answers("429")),
            Query("HTTP 403", answers("403")),
        ),
        levels=rising(red=RATE_LIMIT_LIMIT),
    )


def access_denied() -> timeseries.Panel:
    """Denied authorization decisions."""
    resource = "trust_authz_resource_type"
    denied = total(increase(TRUST_AUTHZ_DECISIONS, 'trust_authz_decision="deny"', over="5m"), resource)
    calls = increase(
        RPC_SERVER_CALL_DURATION,
        'rpc_response_status_code=~"PERMISSION_DENIED|RESOURCE_EXHAUSTED"',
        part="_count",
        over="5m",
    )
    return time_series_panel(
        PanelText(
            31,
            "Access denied",
            "Denied authorization decisions within 5 minutes by resource type, and gRPC calls with status "
            "PERMISSION_DENIED or RESOURCE_EXHAUSTED.",
            "One resource type rises: somebody probes for access, or permissions were changed by mistake. Check the "
            "audit log.",
            NO_DECISIONS,
        ),
        "none",
        (
            Query(
                "{{" + resource + "}}", whole_events(denied, zero_if_recorded(TRUST_AUTHZ_DECISIONS, by=(resource,)))
            ),
            Query("gRPC denied", whole_events(total(calls), zero_if_recorded(RPC_SERVER_CALL_DURATION, part="_count"))),
        ),
    )
