"""Services and instances that are down, fail or are slow."""

from __future__ import annotations

from monitoring.alerts.declaration import Alert, Group, Panel, number, ratio, seconds

SERVICE_DOWN = Alert(
    name="TrustServiceDown",
    reason="""
        Pushed telemetry has no `up`, so an instance counts as alive while its heartbeat arrives, with or without
        traffic; a scraped heartbeat works the same way. 45 s (three exports) without a heartbeat plus 15 s of `for`
        make one minute; the 15 s cover a restart of Prometheus, after which the data that the Collector queued
        arrives a moment later. The alert fires for a service that was seen within the last day; a service that is
        gone for longer was removed on purpose. Alertmanager uses `delivery`: a Collector outage inhibits this alert
        only for services that push through the Collector.
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
        the last count was {{ $value }}.
    """,
)

SERVICE_INSTANCE_DOWN = Alert(
    name="TrustServiceInstanceDown",
    reason="""
        A pushing instance that shuts down cleanly exports 0 last, so it does not alert. A scraped instance cannot
        do that: it alerts while its target still exists and does not answer, but not when a rollout removed the
        target or a new process answers in its place. The alert ends after 15 minutes: by then it was noticed, and
        the instance does not come back with the same id. Other instances still answer, so it is a warning.
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
    panel=Panel("operational", 36),
    summary="An instance of {{ $labels.service_name }} stopped reporting.",
    description="""
        Instance {{ $labels.service_instance_id }} of {{ $labels.service_name }} stopped reporting without a clean shutdown:
        it was killed, ran out of memory, or lost its connection to the Collector or Prometheus.
    """,
)

SERVICE_HIGH_ERROR_RATE = Alert(
    name="TrustServiceHighErrorRate",
    reason="""
        At least three errors, so that one failed request at a quiet hour is not an error rate of 100 %. Where 2 minutes
        have too few requests for three errors at the threshold, the last hour counts, with errors in five periods of
        2 minutes, so that one short disturbance does not count, and the same share in the last 10 minutes, so that
        one late error does not raise the alert again.
    """,
    expression="""
        service:http_server_errors_per_request:ratio_rate2m > $threshold
        and
        service:http_server_errors:increase2m >= $minimum
        or
        avg_over_time(service:http_server_errors:increase2m[1h]) / avg_over_time(service:http_server_requests:increase2m[1h]) > $threshold
        and
        sum_over_time((service:http_server_errors:increase2m > bool 0)[1h:2m]) >= 5
        and
        avg_over_time(service:http_server_errors:increase2m[10m]) / avg_over_time(service:http_server_requests:increase2m[10m]) > $threshold
        unless
        avg_over_time(service:http_server_requests:rate2m[1h]) >= $minimum / $threshold / 120
    """,
    threshold=ratio(0.05),
    minimum=number(3),
    wait="2m",
    keep_firing="2m",
    severity="critical",
    team="platform",
    category="availability",
    panel=Panel("operational", 3),
    summary="{{ $labels.service_name }} has a high error rate.",
    description="""
        {{ $value | humanizePercentage }} of the HTTP requests to {{ $labels.service_name }} fail with a 5xx status (threshold $threshold).
    """,
)

SERVICE_HIGH_LATENCY = Alert(
    name="TrustServiceHighLatency",
    reason="""
        2 s is a bucket boundary of the histogram, so the comparison is exact. At least three slow requests for
        times with little traffic: slower than 0.5 s, because all exporters write the `le` of that bucket the same
        way. `critical.http_routes` in the site file limits it to some routes.
    """,
    expression="""
        service:http_server_request_duration_seconds:p95_rate2m > $threshold
        and
        sum by (deployment_environment_name, service_namespace, service_name) (increase(http_server_request_duration_seconds_count$critical_routes[2m]))
        - sum by (deployment_environment_name, service_namespace, service_name) (increase(http_server_request_duration_seconds_bucket{le="0.5"$and_critical_routes}[2m]))
        >= $minimum
    """,
    threshold=seconds(2, below=10),
    minimum=number(3),
    wait="3m",
    keep_firing="2m",
    severity="critical",
    team="platform",
    category="latency",
    panel=Panel("operational", 2),
    summary="{{ $labels.service_name }} has high latency.",
    description="""
        The p95 latency of $http_requests to {{ $labels.service_name }} is {{ $value | humanizeDuration }} (threshold $threshold).
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
