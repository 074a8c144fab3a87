"""gRPC methods that fail or are slow."""

from __future__ import annotations

from monitoring.alerts.declaration import Alert, Group, Panel, number, ratio, seconds

GRPC_HIGH_ERROR_RATE = Alert(
    name="TrustGrpcHighErrorRate",
    reason="""
        A20, with the threshold of A2. Only codes that are the server's fault (see the recording rule).
    """,
    expression="""
        service_method:rpc_server_errors_per_call:ratio_rate2m{trust_rpc_type="unary"} > $threshold
        and
        sum by (deployment_environment_name, service_namespace, service_name, rpc_method, trust_rpc_type) (
          increase(rpc_server_call_duration_seconds_count{rpc_response_status_code=~"UNKNOWN|DEADLINE_EXCEEDED|INTERNAL|UNAVAILABLE|DATA_LOSS"}[2m])
        ) >= $minimum
    """,
    threshold=ratio(0.05),
    minimum=number(3),
    wait="2m",
    keep_firing="2m",
    severity="critical",
    team="platform",
    category="grpc",
    panel=Panel("operational", 5),
    summary="{{ $labels.rpc_method }} of {{ $labels.service_name }} answers with errors.",
    description="""
        {{ $value | humanizePercentage }} of the calls of {{ $labels.rpc_method }} end with a code that is the server's fault (threshold $threshold).
    """,
)

GRPC_STREAM_FAILURES = Alert(
    name="TrustGrpcStreamFailures",
    reason="""
        A21. A stream that its client cancels is no failure. Clients open a stream again, so nobody is woken.
    """,
    expression="""
        service_method:rpc_server_errors_per_call:ratio_rate2m{trust_rpc_type!="unary"} > $threshold
        and
        sum by (deployment_environment_name, service_namespace, service_name, rpc_method, trust_rpc_type) (
          increase(rpc_server_call_duration_seconds_count{rpc_response_status_code=~"UNKNOWN|DEADLINE_EXCEEDED|INTERNAL|UNAVAILABLE|DATA_LOSS"}[2m])
        ) >= $minimum
    """,
    threshold=ratio(0.05),
    minimum=number(3),
    wait="2m",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="grpc",
    panel=Panel("operational", 5),
    summary="Streams of {{ $labels.rpc_method }} of {{ $labels.service_name }} break.",
    description="""
        {{ $value | humanizePercentage }} of the streams of {{ $labels.rpc_method }} ({{ $labels.trust_rpc_type }}) end with a code that is the server's fault (threshold $threshold).
    """,
)

GRPC_HIGH_LATENCY = Alert(
    name="TrustGrpcHighLatency",
    reason="""
        A22, for the methods that somebody waits for: they validate, sign, issue, renew, revoke. 1 s is a boundary of the
        histogram. Streams last as long as they like. Three slow calls at least, as A3.
    """,
    expression="""
        service_method:rpc_server_call_duration_seconds:p95_rate2m{trust_rpc_type="unary", rpc_method=~".*/(Validate|Sign|Issue|Renew|Revoke).*"} > $threshold
        and
        sum by (deployment_environment_name, service_namespace, service_name, rpc_method, trust_rpc_type) (increase(rpc_server_call_duration_seconds_count[2m]))
        - sum by (deployment_environment_name, service_namespace, service_name, rpc_method, trust_rpc_type) (increase(rpc_server_call_duration_seconds_bucket{le="0.5"}[2m]))
        >= $minimum
    """,
    threshold=seconds(1),
    minimum=number(3),
    wait="3m",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="grpc",
    panel=Panel("operational", 5),
    summary="{{ $labels.rpc_method }} of {{ $labels.service_name }} is slow.",
    description="""
        5 % of the calls of {{ $labels.rpc_method }} take longer than {{ $value | humanizeDuration }} (threshold $threshold).
    """,
)

GROUP = Group(
    "trust-service.grpc",
    (
        GRPC_HIGH_ERROR_RATE,
        GRPC_STREAM_FAILURES,
        GRPC_HIGH_LATENCY,
    ),
)
