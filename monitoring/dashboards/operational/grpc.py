"""gRPC."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table, timeseries

from monitoring.dashboards.operational.constants import GRPC, GRPC_ERROR_LIMIT, GRPC_LATENCY_LIMIT, OF_GRPC
from monitoring.dashboards.panels import (
    About,
    Column,
    Signal,
    rows,
    trend,
)
from monitoring.dashboards.queries import rate, recorded, series, total
from monitoring.dashboards.thresholds import rising
from trust_otel.semconv.metrics import (
    RPC_SERVER_CALL_DURATION,
    TRUST_RPC_SERVER_ACTIVE_CALLS,
    TRUST_RPC_SERVER_MESSAGES,
)


def grpc() -> table.Panel:
    """O5."""
    keys = ("service_name", "rpc_method", "trust_rpc_type")

    def worst(name: str) -> str:
        return f"max by ({', '.join(keys)}) ({recorded(name)})"

    return rows(
        About(
            GRPC,
            "gRPC performance",
            "Each method over two minutes. Errors are those that are the server's fault.",
            "One method fails: its code or its dependency. UNAVAILABLE or DEADLINE_EXCEEDED everywhere: host, "
            "network, or pool.",
            OF_GRPC,
            alerts=("TrustGrpcHighErrorRate", "TrustGrpcStreamFailures", "TrustGrpcHighLatency"),
        ),
        {"service_name": "Service", "rpc_method": "Method", "trust_rpc_type": "Kind"},
        (
            Column("Calls", worst("service_method:rpc_server_calls:rate2m"), "reqps"),
            Column(
                "Errors",
                worst("service_method:rpc_server_errors_per_call:ratio_rate2m"),
                "percentunit",
                levels=rising(yellow=GRPC_ERROR_LIMIT / 5, red=GRPC_ERROR_LIMIT),
            ),
            Column(
                "Latency (p95)",
                worst("service_method:rpc_server_call_duration_seconds:p95_rate2m"),
                "s",
                levels=rising(yellow=GRPC_LATENCY_LIMIT / 4, red=GRPC_LATENCY_LIMIT),
            ),
            Column("Under way", total(series(TRUST_RPC_SERVER_ACTIVE_CALLS), *keys), "none"),
        ),
        sort="Calls",
        key_widths={"Service": 180, "Method": 380},
    )


def grpc_calls() -> timeseries.Panel:
    """How calls end."""
    return trend(
        About(
            23,
            "gRPC calls by status",
            "Calls that ended, by their status code. OK is as it should be; NOT_FOUND or UNAUTHENTICATED are the "
            "caller's.",
            "See which method it is in the table above.",
            OF_GRPC,
        ),
        "reqps",
        (
            Signal(
                "{{rpc_response_status_code}}",
                total(rate(RPC_SERVER_CALL_DURATION, part="_count"), "rpc_response_status_code"),
            ),
        ),
        stacked=True,
    )


def streams() -> timeseries.Panel:
    """How much passes in calls."""
    return trend(
        About(
            24,
            "gRPC messages",
            "Messages of all calls; a stream has many. Received and sent part when one side waits.",
            "Messages stop while streams are open (see Under way above): the other side hangs, or flow control holds "
            "it.",
            OF_GRPC,
        ),
        "cps",
        (
            Signal(
                "{{trust_rpc_type}} {{trust_rpc_message_direction}}",
                total(rate(TRUST_RPC_SERVER_MESSAGES), "trust_rpc_type", "trust_rpc_message_direction"),
            ),
        ),
    )
