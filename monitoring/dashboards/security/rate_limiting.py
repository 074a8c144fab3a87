"""Rate limiting and access control."""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries

from monitoring.dashboards.panels import About, Signal, trend
from monitoring.dashboards.queries import increase, measured, total
from monitoring.dashboards.security.constants import (
    ADDRESSES,
    NO_DECISIONS,
    RATE_LIMIT_LIMIT,
    RATE_LIMITING,
    counted,
    known,
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
        return counted(
            total(increase(HTTP_SERVER_REQUEST_DURATION, matcher, part="_count", over="5m")),
            measured(HTTP_SERVER_REQUEST_DURATION, part="_count"),
        )

    return trend(
        About(
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
            Signal(
                "Rate limit {{trust_rate_limit_name}}",
                counted(limits, known(TRUST_SECURITY_RATE_LIMITED, "trust_rate_limit_name")),
            ),
            Signal("HTTP 429", answers("429")),
            Signal("HTTP 403", answers("403")),
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
    return trend(
        About(
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
            Signal("{{" + resource + "}}", counted(denied, known(TRUST_AUTHZ_DECISIONS, resource))),
            Signal("gRPC denied", counted(total(calls), measured(RPC_SERVER_CALL_DURATION, part="_count"))),
        ),
    )
