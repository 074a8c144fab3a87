"""The monitoring itself: Collector, Prometheus, Alertmanager, and what services measure."""

from __future__ import annotations

from typing import Final

from monitoring.alerts.declaration import Alert, Group, Panel, ratio, seconds

WATCHDOG = Alert(
    name="TrustWatchdog",
    reason="""
        Dead man's switch: an external service raises the alarm when this alert stops arriving.
    """,
    expression="""
        vector(1)
    """,
    severity="info",
    team="platform",
    category="watchdog",
    service="monitoring",
    panel=Panel("monitoring", 21),
    summary="Alerting works.",
    description="""
        This alert always fires. If the dead man's switch stops receiving it, no alert is delivered.
    """,
)

MONITORING_TARGET_DOWN_CRITICAL = Alert(
    name="TrustMonitoringTargetDown",
    reason="""
        Fires before TrustServiceDown (60 s), which it inhibits for pushed telemetry: without a Collector every
        service that pushes looks down. It needs all Collectors to be down, because with one left a service that
        is down must not be hidden. A site declares its Collectors as targets (targets/collector*.json), so a
        Collector that never started has `up` = 0. A target that service discovery dropped counts as down for a
        day, like a service. A site without Collectors has no target and no alert. The Collectors of an environment
        are those whose targets have its label.
    """,
    expression="""
        group by (job, deployment_environment_name) (last_over_time(up{job="otel-collector"}[1d]))
        unless on (job, deployment_environment_name)
        up == 1
    """,
    wait="30s",
    keep_firing="1m",
    severity="critical",
    team="platform",
    category="monitoring",
    service="monitoring",
    panel=Panel("monitoring", 1),
    summary="No Collector is up.",
    description="""
        No Collector responds: telemetry of the services does not arrive, and most alerts cannot fire.
    """,
)

MONITORING_TARGET_DOWN_WARNING = Alert(
    name="TrustMonitoringTargetDown",
    reason="""
        One target of several, or a gap in the data, is a warning. 2 minutes skip a restart.
    """,
    expression="""
        up == 0
    """,
    wait="2m",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="monitoring",
    service="monitoring",
    panel=Panel("monitoring", 1),
    summary="{{ $labels.job }} {{ $labels.instance }} is down.",
    description="""
        Prometheus cannot scrape {{ $labels.job }} at {{ $labels.instance }}; alerts on its series cannot fire.
    """,
)

COLLECTOR_CANNOT_DELIVER = Alert(
    name="TrustCollectorCannotDeliver",
    reason="""
        All Collectors together, as in TrustMonitoringTargetDown. It inhibits TrustServiceDown, because every
        service looks down when no data arrives; both fire after a minute, and TrustServiceDown is notified 30 s
        later (`group_wait`). 40 s are four scrapes; 20 s of `for` let the first data pass after a start. What an
        agent passes to a gateway has not arrived yet, and `otlp/self` receives what a Collector measures of itself.
    """,
    expression="""
        sum by (job, deployment_environment_name) (
          increase(otelcol_receiver_accepted_metric_points_total{receiver!="otlp/self"}[40s])
          +
          increase(otelcol_receiver_refused_metric_points_total[40s])
        ) > 0
        unless
        sum by (job, deployment_environment_name) (
          increase(
            otelcol_exporter_sent_metric_points_total{
              exporter=~"otlp.*|prometheus_remote_write.*",
              exporter!="otlp_grpc/gateway"
            }[40s]
          )
        ) > 0
    """,
    wait="20s",
    keep_firing="1m",
    severity="critical",
    team="platform",
    category="monitoring",
    service="monitoring",
    panel=Panel("monitoring", 3),
    summary="The Collector cannot deliver data.",
    description="""
        The Collector receives data but has exported none for 40 seconds: data waits in its queue, and most alerts cannot fire.
    """,
)

COLLECTOR_QUEUE_DAMAGED = Alert(
    name="TrustCollectorQueueDamaged",
    reason="""
        Data in a damaged queue file is not delivered. The Collector continues with an empty queue, so it is a
        warning; it fires until the damaged file is removed.
    """,
    expression="""
        max by (instance) (otelcol_queue_damaged_files) > 0
    """,
    wait="30s",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="monitoring",
    service="monitoring",
    panel=Panel("monitoring", 2),
    summary="A queue file of the Collector is damaged.",
    description="""
        Collector {{ $labels.instance }} moved {{ $value }} damaged queue files aside and started with an empty queue: the data in them is not delivered.
    """,
)

COLLECTOR_QUEUE_FILLING = Alert(
    name="TrustCollectorQueueFilling",
    reason="""
        At half full, as much time is left to act as it took to fill the queue so far.
    """,
    expression="""
        max by (instance, exporter) (otelcol_exporter_queue_size)
        /
        max by (instance, exporter) (otelcol_exporter_queue_capacity)
        > $threshold
    """,
    threshold=ratio(0.5),
    wait="2m",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="monitoring",
    service="monitoring",
    panel=Panel("monitoring", 2),
    summary="The Collector's queue is filling up.",
    description="""
        Queue {{ $labels.exporter }} of Collector {{ $labels.instance }} is {{ $value | humanizePercentage }} full (threshold $threshold); when it is full, the Collector refuses data.
    """,
)

COLLECTOR_REFUSES_DATA = Alert(
    name="TrustCollectorRefusesData",
    reason="""
        Senders retry, so no data is lost yet. A single refusal, for example at a start under load, leaves the
        one-minute window before `for` has passed.
    """,
    expression="""
        sum by (instance, receiver) (
          increase(otelcol_receiver_refused_metric_points_total[1m])
        ) > 0
    """,
    wait="1m",
    keep_firing="5m",
    severity="warning",
    team="platform",
    category="monitoring",
    service="monitoring",
    panel=Panel("monitoring", 3),
    summary="The Collector refuses data.",
    description="""
        Collector {{ $labels.instance }} refused {{ $value | printf "%.0f" }} data points at {{ $labels.receiver }} within a minute; senders retry.
    """,
)

COLLECTOR_DROPS_DATA = Alert(
    name="TrustCollectorDropsData",
    reason="""
        Data counted here is lost. The Collector creates the counter at the first failure, without a 0 before it: a
        series that did not exist 5 minutes ago counts with its full value, provided that the Collector was up then.
        (A full queue refuses data, see TrustCollectorRefusesData; that data is not lost yet.)
    """,
    expression="""
        sum by (instance, exporter) (
          increase(otelcol_exporter_send_failed_metric_points_total[5m]) > 0
          or
          (
            otelcol_exporter_send_failed_metric_points_total
            unless
            otelcol_exporter_send_failed_metric_points_total offset 5m
            and on (job, instance)
            up offset 5m
          )
        )
    """,
    keep_firing="5m",
    severity="critical",
    team="platform",
    category="monitoring",
    service="monitoring",
    panel=Panel("monitoring", 3),
    summary="The Collector drops data.",
    description="""
        Collector {{ $labels.instance }} dropped {{ $value | printf "%.0f" }} data points of exporter {{ $labels.exporter }} within 5 minutes: the backend rejected them permanently.
    """,
)

RULE_EVALUATION_FAILURES = Alert(
    name="TrustRuleEvaluationFailures",
    reason="""
        An alert whose rule cannot be evaluated does not fire.
    """,
    expression="""
        sum by (instance, rule_group) (
          increase(prometheus_rule_evaluation_failures_total[5m])
        ) > 0
    """,
    keep_firing="5m",
    severity="critical",
    team="platform",
    category="monitoring",
    service="monitoring",
    panel=Panel("monitoring", 4),
    summary="Rule evaluation fails.",
    description="""
        {{ $value | printf "%.0f" }} evaluations of rule group {{ $labels.rule_group }} failed within 5 minutes: its alerts may not fire.
    """,
)

NOTIFICATIONS_FAILING = Alert(
    name="TrustNotificationsFailing",
    reason="""
        Counted after the last retry. 15 minutes, because failures are as rare as notifications.
    """,
    expression="""
        sum by (instance, integration) (
          increase(alertmanager_notifications_failed_total[15m])
        ) > 0
    """,
    keep_firing="5m",
    severity="critical",
    team="platform",
    category="monitoring",
    service="monitoring",
    panel=Panel("monitoring", 5),
    summary="Notifications cannot be delivered.",
    description="""
        {{ $value | printf "%.0f" }} notifications through {{ $labels.integration }} failed within 15 minutes, after all retries.
    """,
)

CARDINALITY_OVERFLOW = Alert(
    name="TrustCardinalityOverflow",
    reason="""
        Totals stay exact, but the aggregated label values can no longer be told apart.
    """,
    expression="""
        sum by (deployment_environment_name, service_namespace, service_name, metric) (
          increase(trust_otel_overflow_total[15m])
        ) > 0
    """,
    keep_firing="10m",
    severity="warning",
    team="platform",
    category="monitoring",
    panel=Panel("monitoring", 24),
    summary="Too many label values in {{ $labels.metric }}.",
    description="""
        {{ $value | printf "%.0f" }} measurements of {{ $labels.metric }} of {{ $labels.service_name }} were aggregated within 15 minutes because a label has too many values.
    """,
)

CERTIFICATE_INVENTORY_STALE = Alert(
    name="TrustCertificateInventoryStale",
    reason="""
        The time of the last read has not changed for 15 minutes: 15 intervals of the certificate monitor (60 s).
    """,
    expression="""
        max by (deployment_environment_name, service_namespace, service_name, service_instance_id, trust_otel_source_kind, trust_otel_source_name) (
          trust_otel_source_last_read_seconds{trust_otel_source_kind="certificates"}
        )
        ==
        max by (deployment_environment_name, service_namespace, service_name, service_instance_id, trust_otel_source_kind, trust_otel_source_name) (
          trust_otel_source_last_read_seconds offset 15m
        )
    """,
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="monitoring",
    panel=Panel("monitoring", 7),
    summary="The certificates of {{ $labels.service_name }} are no longer monitored.",
    description="""
        {{ $labels.trust_otel_source_name }} was last read {{ with $value }}at {{ . | humanizeTimestamp }}{{ end }}; expiry alerts use old data.
    """,
)

SOURCE_UNREADABLE = Alert(
    name="TrustSourceUnreadable",
    reason="""
        2 minutes skip a file that is being replaced.
    """,
    expression="""
        min by (deployment_environment_name, service_namespace, service_name, trust_otel_source_kind, trust_otel_source_name) (
          last_over_time(trust_otel_source_up[1m])
        ) == 0
    """,
    wait="2m",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="monitoring",
    panel=Panel("monitoring", 7),
    summary="{{ $labels.service_name }} cannot read {{ $labels.trust_otel_source_name }}.",
    description="""
        Source {{ $labels.trust_otel_source_name }} ({{ $labels.trust_otel_source_kind }}) of {{ $labels.service_name }} cannot be read; the last valid content stays in use.
    """,
)

_INSTANCE: Final = "deployment_environment_name, service_namespace, service_name, service_instance_id"

MEASUREMENTS_DROPPED = Alert(
    name="TrustMeasurementsDropped",
    reason="""
        A mistake in the service's code or in trust-otel: what was dropped is missing in every panel and alert. Reasons
        that only shorten or mask an attribute do not count, and neither do unreadable sources (TrustSourceUnreadable).
        Each reason is exported as 0 from the start.
    """,
    expression="""
        sum by (deployment_environment_name, service_namespace, service_name, reason) (
          increase(trust_otel_dropped_total{reason!~"attribute_encoding|attribute_length|private_value|unreadable_source"}[15m])
        ) > 0
    """,
    keep_firing="10m",
    severity="warning",
    team="platform",
    category="monitoring",
    panel=Panel("monitoring", 24),
    summary="Measurements of {{ $labels.service_name }} are dropped.",
    description="""
        {{ $value | printf "%.0f" }} measurements of {{ $labels.service_name }} were dropped within 15 minutes ({{ $labels.reason }}).
    """,
)

SOURCE_NOT_CHECKED = Alert(
    name="TrustSourceNotChecked",
    reason="""
        Files and feeds are checked every 10 s and dependencies every 15 s; 15 minutes without a check mean that the
        thread is blocked. What such a source or dependency reported last stays, so it looks good. Certificates have
        TrustCertificateInventoryStale, and a source that cannot be read has TrustSourceUnreadable.
    """,
    expression=f"""
        max by ({_INSTANCE}, trust_otel_source_kind, trust_otel_source_name) (
          trust_otel_source_last_read_seconds{{trust_otel_source_kind!="certificates"}}
        )
        ==
        max by ({_INSTANCE}, trust_otel_source_kind, trust_otel_source_name) (
          trust_otel_source_last_read_seconds offset 15m
        )
        and
        max by ({_INSTANCE}, trust_otel_source_kind, trust_otel_source_name) (trust_otel_source_up) == 1
        or
        sum by ({_INSTANCE}, trust_dependency_name, trust_dependency_type) (
          increase(trust_dependency_check_duration_seconds_count[15m])
        ) == 0
        and
        max by ({_INSTANCE}, trust_dependency_name, trust_dependency_type) (trust_dependency_up and trust_dependency_up offset 15m)
    """,
    wait="1m",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="monitoring",
    panel=Panel("monitoring", 7),
    summary="{{ $labels.service_name }} no longer checks {{ or $labels.trust_dependency_name $labels.trust_otel_source_name }}.",
    description="""
        Instance {{ $labels.service_instance_id }} of {{ $labels.service_name }} has not checked {{ or $labels.trust_dependency_name $labels.trust_otel_source_name }}
        ({{ or $labels.trust_dependency_type $labels.trust_otel_source_kind }}) for 15 minutes; its last result stays in use.
    """,
)

INSTANCE_CLOCK_OFF = Alert(
    name="TrustInstanceClockOff",
    reason="""
        Samples that an instance pushes have the time of its clock. Of a clock that is ahead they are in the future, where
        `offset -5m` finds them. The time must advance: that of a dead instance does not. Prometheus sets the time of
        scraped samples, so the clock of a scraped service is not seen.
    """,
    expression="""
        abs(service_instance:trust_otel_instance_up:timestamp - time()) > $threshold
        and
        delta(service_instance:trust_otel_instance_up:timestamp[2m]) > 0
    """,
    threshold=seconds(60),
    wait="5m",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="monitoring",
    panel=Panel("monitoring", 20),
    summary="The clock of an instance of {{ $labels.service_name }} is off.",
    description="""
        The samples of instance {{ $labels.service_instance_id }} of {{ $labels.service_name }} are {{ $value | humanizeDuration }} off (threshold $threshold): its clock is wrong, or they arrive late.
    """,
)

GROUP = Group(
    "trust-service.monitoring",
    (
        WATCHDOG,
        MONITORING_TARGET_DOWN_CRITICAL,
        MONITORING_TARGET_DOWN_WARNING,
        COLLECTOR_CANNOT_DELIVER,
        COLLECTOR_QUEUE_DAMAGED,
        COLLECTOR_QUEUE_FILLING,
        COLLECTOR_REFUSES_DATA,
        COLLECTOR_DROPS_DATA,
        RULE_EVALUATION_FAILURES,
        NOTIFICATIONS_FAILING,
        CARDINALITY_OVERFLOW,
        CERTIFICATE_INVENTORY_STALE,
        SOURCE_UNREADABLE,
        MEASUREMENTS_DROPPED,
        SOURCE_NOT_CHECKED,
        INSTANCE_CLOCK_OFF,
    ),
)
