"""Requests that are refused, by a limit or for lack of rights."""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries

from monitoring.dashboards.panels import About, Signal, trend
from monitoring.dashboards.queries import increase, measured, total
from monitoring.dashboards.security.constants import ADDRESSES, NO_DECISIONS, RATE_LIMIT_LIMIT, REFUSALS, counted, known
from monitoring.dashboards.template import SECURITY, panel_url
from monitoring.dashboards.thresholds import rising
from trust_otel.semconv.metrics import (
    HTTP_SERVER_REQUEST_DURATION,
    RPC_SERVER_CALL_DURATION,
    TRUST_AUTHZ_DECISIONS,
    TRUST_SECURITY_RATE_LIMITED,
)


def rate_limiting() -> timeseries.Panel:
    """Refusals of each limit, and the answers that clients got."""
    limits = total(increase(TRUST_SECURITY_RATE_LIMITED, over="5m"), "trust_rate_limit_name")

    def answers(code: str) -> str:
        matcher = f'http_response_status_code="{code}"'
        return counted(
            total(increase(HTTP_SERVER_REQUEST_DURATION, matcher, part="_count", over="5m")),
            measured(HTTP_SERVER_REQUEST_DURATION, part="_count"),
        )

    return trend(
        About(
            REFUSALS,
            "Rate limiting and blocking",
            "Requests refused within 5 minutes: by each rate limit, with the limit of the alert as a dashed line; "
            "and the answers that clients got, 429 (too many) and 403 (not allowed).",
            "One limit refuses much: see whether few addresses are behind it. Then it does its work. If it refuses "
            "users, raise it.",
            "Not measured: no service records HTTP requests, and no rate limit has refused one.",
            alerts=("TrustExcessiveRateLimiting",),
            links={"Failing addresses": panel_url(SECURITY, ADDRESSES)},
        ),
        "none",
        (
            Signal(
                "limit {{trust_rate_limit_name}}",
                counted(limits, known(TRUST_SECURITY_RATE_LIMITED, "trust_rate_limit_name")),
            ),
            Signal("HTTP 429", answers("429")),
            Signal("HTTP 403", answers("403")),
        ),
        levels=rising(red=RATE_LIMIT_LIMIT),
    )


def denials() -> timeseries.Panel:
    """Access that was denied, by what it was wanted to."""
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
            "Denied requests within 5 minutes by the kind of resource, and gRPC calls that were refused for their "
            "rights or their number.",
            "One kind rises: somebody looks for what he may not see, or rights were changed by mistake. See the "
            "audit log.",
            NO_DECISIONS,
        ),
        "none",
        (
            Signal("{{" + resource + "}}", counted(denied, known(TRUST_AUTHZ_DECISIONS, resource))),
            Signal("gRPC, refused", counted(total(calls), measured(RPC_SERVER_CALL_DURATION, part="_count"))),
        ),
    )
