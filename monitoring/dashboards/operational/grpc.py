"""gRPC performance."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table, timeseries

from monitoring.dashboards.operational.constants import GRPC, GRPC_ERROR_LIMIT, GRPC_LATENCY_LIMIT, NO_GRPC
from monitoring.dashboards.panels import (
    Column,
    PanelText,
    Query,
    table_panel,
    time_series_panel,
)
from monitoring.dashboards.queries import rate, recorded, series, total
from monitoring.dashboards.thresholds import rising
from trust_otel.semconv.metrics import (
    RPC_SERVER_CALL_DURATION,
    TRUST_RPC_SERVER_ACTIVE_CALLS,
    TRUST_RPC_SERVER_MESSAGES,
)

_FAULTS = ("UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS")
"""Status codes that indicate a server fault, as in the recording rules."""


def grpc_methods() -> table.Panel:
    """Call rate, errors and latency by method."""
    keys = ("service_name", "rpc_method", "trust_rpc_type")

    def worst(name: str) -> str:
        return f"max by ({', '.join(keys)}) ({recorded(name)})"

    return table_panel(
        PanelText(
            GRPC,
            "gRPC performance",
            "Call rate, error rate and latency of each method over 2 minutes, and calls in flight. Errors are "
            "status codes that indicate a server fault. Latency alerts for unary calls of methods whose names begin "
            "with <<critical_methods>>.",
            "One method fails: check its code or its dependency. UNAVAILABLE or DEADLINE_EXCEEDED on all methods: "
            "check the host, the network and the connection pools.",
            NO_GRPC,
            alerts=("TrustGrpcHighErrorRate", "TrustGrpcStreamFailures", "TrustGrpcHighLatency"),
        ),
        {"service_name": "Service", "rpc_method": "Method", "trust_rpc_type": "Type"},
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
            Column("In flight", total(series(TRUST_RPC_SERVER_ACTIVE_CALLS), *keys), "none"),
        ),
        sort="Calls",
        key_widths={"Service": 150, "Method": 240},
    )


def grpc_calls() -> timeseries.Panel:
    """Completed calls by status code."""
    return time_series_panel(
        PanelText(
            23,
            "gRPC calls by status",
            "Completed calls by status code. Codes such as NOT_FOUND or UNAUTHENTICATED are client errors.",
            "Find the failing method in gRPC performance.",
            NO_GRPC,
        ),
        "reqps",
        (
            Query(
                "{{rpc_response_status_code}}",
                total(rate(RPC_SERVER_CALL_DURATION, part="_count"), "rpc_response_status_code"),
            ),
        ),
        colours={"OK": "green", **dict.fromkeys(_FAULTS, "red")},
        stacked=True,
    )


def grpc_messages() -> timeseries.Panel:
    """Messages by call type and direction."""
    return time_series_panel(
        PanelText(
            24,
            "gRPC messages",
            "Messages received and sent, by call type. Unary calls have one message in each direction, streams have "
            "many.",
            "Messages stop while calls are in flight (see gRPC performance): the peer hangs, or flow control blocks "
            "the stream.",
            NO_GRPC,
        ),
        "cps",
        (
            Query(
                "{{trust_rpc_type}} {{trust_rpc_message_direction}}",
                total(rate(TRUST_RPC_SERVER_MESSAGES), "trust_rpc_type", "trust_rpc_message_direction"),
            ),
        ),
    )
