"""gRPC methods that fail or are slow."""

from __future__ import annotations

from monitoring.alerts.declaration import Alert, Group, Panel, number, ratio, seconds


def _errors(matcher: str) -> str:
    """Calls that fail, as for HTTP (TrustServiceHighErrorRate)."""
    return f"""
        service_method:rpc_server_errors_per_call:ratio_rate2m{{{matcher}}} > $threshold
        and
        service_method:rpc_server_errors:increase2m >= $minimum
        or
        avg_over_time(service_method:rpc_server_errors:increase2m{{{matcher}}}[1h]) / avg_over_time(service_method:rpc_server_calls:increase2m[1h]) > $threshold
        and
        sum_over_time((service_method:rpc_server_errors:increase2m > bool 0)[1h:2m]) >= 5
        and
        avg_over_time(service_method:rpc_server_errors:increase2m[10m]) / avg_over_time(service_method:rpc_server_calls:increase2m[10m]) > $threshold
        unless
        avg_over_time(service_method:rpc_server_calls:increase2m[1h]) >= $minimum / $threshold
    """


GRPC_HIGH_ERROR_RATE = Alert(
    name="TrustGrpcHighErrorRate",
    reason="""
        The same threshold as for HTTP (TrustServiceHighErrorRate). Only codes that are the server's fault count
        (see the recording rule). At least three errors; where 2 minutes have too few calls of the method for that, errors
        in five periods of 2 minutes within the last hour, and the same share in the last 10 minutes.
    """,
    expression=_errors('trust_rpc_type="unary"'),
    threshold=ratio(0.05),
    minimum=number(3),
    wait="2m",
    keep_firing="2m",
    severity="critical",
    team="platform",
    category="grpc",
    panel=Panel("operational", 5),
    summary="{{ $labels.rpc_method }} of {{ $labels.service_name }} has a high error rate.",
    description="""
        {{ $value | humanizePercentage }} of the calls of {{ $labels.rpc_method }} fail with a server error code (threshold $threshold).
    """,
)

GRPC_STREAM_FAILURES = Alert(
    name="TrustGrpcStreamFailures",
    reason="""
        A stream that the client cancels is not a failure. Clients reconnect, so it is a warning.
    """,
    expression=_errors('trust_rpc_type!="unary"'),
    threshold=ratio(0.05),
    minimum=number(3),
    wait="2m",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="grpc",
    panel=Panel("operational", 5),
    summary="Streams of {{ $labels.rpc_method }} of {{ $labels.service_name }} fail.",
    description="""
        {{ $value | humanizePercentage }} of the streams of {{ $labels.rpc_method }} ({{ $labels.trust_rpc_type }}) fail with a server error code (threshold $threshold).
    """,
)

GRPC_HIGH_LATENCY = Alert(
    name="TrustGrpcHighLatency",
    reason="""
        Only methods for which a caller waits, by the beginning of their name; `critical.grpc_methods` in the site file. 1 s is a bucket
        boundary of the histogram. Streams are excluded, because their duration is not a latency. At least three slow calls, as
        in TrustServiceHighLatency.
    """,
    expression="""
        service_method:rpc_server_call_duration_seconds:p95_rate2m{trust_rpc_type="unary", rpc_method=~"$critical_methods"} > $threshold
        and
        sum by (deployment_environment_name, service_namespace, service_name, rpc_method, trust_rpc_type) (increase(rpc_server_call_duration_seconds_count[2m]))
        - sum by (deployment_environment_name, service_namespace, service_name, rpc_method, trust_rpc_type) (increase(rpc_server_call_duration_seconds_bucket{le="0.5"}[2m]))
        >= $minimum
    """,
    threshold=seconds(1, below=10),
    minimum=number(3),
    wait="3m",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="grpc",
    panel=Panel("operational", 5),
    summary="{{ $labels.rpc_method }} of {{ $labels.service_name }} has high latency.",
    description="""
        The p95 latency of {{ $labels.rpc_method }} is {{ $value | humanizeDuration }} (threshold $threshold).
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
