"""Services and instances that are down, fail or are slow."""

from __future__ import annotations

from monitoring.alerts.declaration import Alert, Group, Panel, number, ratio, seconds

SERVICE_DOWN = Alert(
    name="TrustServiceDown",
    reason="""
        A1. Pushed telemetry has no `up`, so an instance is alive while its heartbeat arrives, whether or not it has work; a
        scraped heartbeat says the same. 45 s (three exports) of silence and 15 s of `for` make one minute; the 15 s bridge a
        restart of Prometheus, when what the Collector holds arrives a moment later. A service that was seen within a day is
        missed; if it is gone for longer, that is on purpose. `delivery` is for Alertmanager: a dead Collector inhibits this
        alert only for services whose telemetry is pushed through it.
    """,
    expression="""
        last_over_time(service_delivery:trust_otel_instances:count[1d])
        unless on (deployment_environment_name, service_namespace, service_name)
        service:trust_otel_instances:count
    """,
    wait="15s",
    keep_firing="1m",
    severity="critical",
    team="platform",
    category="availability",
    panel=Panel("operational", 1),
    summary="Service {{ $labels.service_name }} is down.",
    description="""
        No instance of {{ $labels.service_name }} in environment {{ or $labels.deployment_environment_name "unnamed" }} has reported for a minute;
        at last there were {{ $value }}.
    """,
)

SERVICE_INSTANCE_DOWN = Alert(
    name="TrustServiceInstanceDown",
    reason="""
        A1, per instance. A pushing instance that shuts down cleanly reports 0 last and is not missed. A scraped one cannot: it is
        missed while its target is still there and does not answer, not when a rollout removed the target or when a new process
        answers in its place. A quarter of an hour is long enough to be seen, and the instance will not come back under this id.
        Others still answer, so nobody is woken.
    """,
    expression="""
        max by (deployment_environment_name, service_namespace, service_name, service_instance_id, delivery) (
          label_replace(last_over_time(trust_otel_instance_up[15m]) and on (job, instance) up == 0, "delivery", "scrape", "", "")
          or
          label_replace(last_over_time(trust_otel_instance_up[15m]) unless on (job, instance) last_over_time(up[15m]), "delivery", "push", "", "")
        ) == 1
        unless on (deployment_environment_name, service_namespace, service_name, service_instance_id)
        max by (deployment_environment_name, service_namespace, service_name, service_instance_id) (
          max_over_time(trust_otel_instance_up[45s])
        )
    """,
    wait="15s",
    severity="warning",
    team="platform",
    category="availability",
    panel=Panel("operational", 1),
    summary="An instance of {{ $labels.service_name }} has vanished.",
    description="""
        Instance {{ $labels.service_instance_id }} of {{ $labels.service_name }} stopped reporting without a clean shutdown:
        it was killed, ran out of memory, or is cut off from the Collector or from Prometheus.
    """,
)

SERVICE_HIGH_ERROR_RATE = Alert(
    name="TrustServiceHighErrorRate",
    reason="""
        A2: 5 % for 2 minutes. Three errors at least, so that the one request of a quiet night is no 100 %.
    """,
    expression="""
        service:http_server_errors_per_request:ratio_rate2m > $threshold
        and
        sum by (deployment_environment_name, service_namespace, service_name) (
          increase(http_server_request_duration_seconds_count{http_response_status_code=~"5.."}[2m])
        ) >= $minimum
    """,
    threshold=ratio(0.05),
    minimum=number(3),
    wait="2m",
    keep_firing="2m",
    severity="critical",
    team="platform",
    category="availability",
    panel=Panel("operational", 3),
    summary="{{ $labels.service_name }} answers with errors.",
    description="""
        {{ $value | humanizePercentage }} of the HTTP requests to {{ $labels.service_name }} end with a 5xx status (threshold $threshold).
    """,
)

SERVICE_HIGH_LATENCY = Alert(
    name="TrustServiceHighLatency",
    reason="""
        A3: 95th percentile over 2 s for 3 minutes. 2 s is a boundary of the histogram, so the comparison is exact. Three
        slow requests at least (over half a second, whose boundary is written alike everywhere), for the quiet of the night.
    """,
    expression="""
        service:http_server_request_duration_seconds:p95_rate2m > $threshold
        and
        sum by (deployment_environment_name, service_namespace, service_name) (increase(http_server_request_duration_seconds_count[2m]))
        - sum by (deployment_environment_name, service_namespace, service_name) (increase(http_server_request_duration_seconds_bucket{le="0.5"}[2m]))
        >= $minimum
    """,
    threshold=seconds(2),
    minimum=number(3),
    wait="3m",
    keep_firing="2m",
    severity="critical",
    team="platform",
    category="latency",
    panel=Panel("operational", 2),
    summary="{{ $labels.service_name }} is slow.",
    description="""
        5 % of the HTTP requests to {{ $labels.service_name }} take longer than {{ $value | humanizeDuration }} (threshold $threshold).
    """,
)

GROUP = Group(
    "trust-service.availability",
    (
        SERVICE_DOWN,
        SERVICE_INSTANCE_DOWN,
        SERVICE_HIGH_ERROR_RATE,
        SERVICE_HIGH_LATENCY,
    ),
)
