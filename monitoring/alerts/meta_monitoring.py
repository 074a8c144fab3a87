"""The monitoring itself: Collector, Prometheus, Alertmanager, and what services measure."""

from __future__ import annotations

from monitoring.alerts.declaration import Alert, Group, Panel, ratio

WATCHDOG = Alert(
    name="TrustWatchdog",
    reason="""
        A dead man's switch: whoever misses it raises the alarm.
    """,
    expression="""
        vector(1)
    """,
    severity="info",
    team="platform",
    category="watchdog",
    service="monitoring",
    panel=Panel("monitoring", 5),
    summary="Alerting works.",
    description="""
        This alert always fires. When it stops arriving at the dead man's switch, alerts do not arrive either.
    """,
)

MONITORING_TARGET_DOWN_CRITICAL = Alert(
    name="TrustMonitoringTargetDown",
    reason="""
        Sooner than A1 (60 s), which it inhibits for pushed telemetry: without a Collector every service that pushes looks down.
        None of them, because with one left a dead service must not be hidden. A site declares its Collectors by their targets
        (targets/collector*.json): one that never came up has `up` = 0. A target that service discovery has dropped is missed for
        a day, as a service is. A site without Collectors has no target, and no alert.
    """,
    expression="""
        group by (job) (last_over_time(up{job="otel-collector"}[1d]))
        unless on (job)
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
        No Collector answers: the services' telemetry does not arrive, and most alerts are blind.
    """,
)

MONITORING_TARGET_DOWN_WARNING = Alert(
    name="TrustMonitoringTargetDown",
    reason="""
        Nobody is woken for a blind spot, or for one Collector of several; 2 minutes let a restart pass.
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
        Prometheus cannot read {{ $labels.job }} at {{ $labels.instance }}; alerts over its series are blind.
    """,
)

COLLECTOR_CANNOT_DELIVER = Alert(
    name="TrustCollectorCannotDeliver",
    reason="""
        Of all Collectors together, as above. It silences A1, since when nothing arrives every service looks dead; both fire after a minute, and A1 is told 30 s
        later (`group_wait`). 40 s are four scrapes; 20 s let the first data pass after a start.
    """,
    expression="""
        sum by (job) (
          increase(otelcol_receiver_accepted_metric_points_total[40s])
          +
          increase(otelcol_receiver_refused_metric_points_total[40s])
        ) > 0
        unless
        sum by (job) (
          increase(otelcol_exporter_sent_metric_points_total{exporter=~"otlp.*"}[40s])
        ) > 0
    """,
    wait="20s",
    keep_firing="1m",
    severity="critical",
    team="platform",
    category="monitoring",
    service="monitoring",
    panel=Panel("monitoring", 2),
    summary="The Collector cannot deliver.",
    description="""
        The Collector is sent data and has passed none on for 40 seconds: it keeps it in its queue, and most alerts are blind.
    """,
)

COLLECTOR_QUEUE_DAMAGED = Alert(
    name="TrustCollectorQueueDamaged",
    reason="""
        What was queued in a damaged file is not delivered. The Collector works with an empty queue, so nobody is woken; the alert
        fires until somebody has removed the file.
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
    summary="A queue file of the Collector was damaged.",
    description="""
        Collector {{ $labels.instance }} has set aside {{ $value }} damaged queue files and started with an empty queue: what they held is not delivered.
    """,
)

COLLECTOR_QUEUE_FILLING = Alert(
    name="TrustCollectorQueueFilling",
    reason="""
        Half full leaves as much time again to act as it took.
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
    summary="The queue of the Collector fills.",
    description="""
        Queue {{ $labels.exporter }} of Collector {{ $labels.instance }} is {{ $value | humanizePercentage }} full (threshold $threshold); when it is full, the Collector refuses data.
    """,
)

COLLECTOR_REFUSES_DATA = Alert(
    name="TrustCollectorRefusesData",
    reason="""
        Senders try again, so nothing is lost yet. A single refusal, as at a start under load, leaves the window of a minute
        before the minute of `for` is over.
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
        Collector {{ $labels.instance }} refused {{ $value | printf "%.0f" }} data points at {{ $labels.receiver }} within a minute; senders try again.
    """,
)

COLLECTOR_DROPS_DATA = Alert(
    name="TrustCollectorDropsData",
    reason="""
        What is counted here is gone. The Collector makes the counter at its first failure, without a 0 before it: what was not
        there 5 minutes ago counts as a whole, if the Collector was. (A full queue refuses, see above; that is not lost yet.)
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
    summary="The Collector loses data.",
    description="""
        Collector {{ $labels.instance }} lost {{ $value | printf "%.0f" }} data points at {{ $labels.exporter }} within 5 minutes: the receiving side refused them for good.
    """,
)

RULE_EVALUATION_FAILURES = Alert(
    name="TrustRuleEvaluationFailures",
    reason="""
        An alert that cannot be evaluated does not fire.
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
    summary="Rules cannot be evaluated.",
    description="""
        {{ $value | printf "%.0f" }} evaluations of rule group {{ $labels.rule_group }} failed within 5 minutes: its alerts are dead.
    """,
)

NOTIFICATIONS_FAILING = Alert(
    name="TrustNotificationsFailing",
    reason="""
        Counted after the last attempt. 15 minutes, because failures come as seldom as notifications do.
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
    summary="Notifications do not arrive.",
    description="""
        {{ $value | printf "%.0f" }} notifications by {{ $labels.integration }} failed within 15 minutes, after all attempts.
    """,
)

CARDINALITY_OVERFLOW = Alert(
    name="TrustCardinalityOverflow",
    reason="""
        Sums stay exact; what is folded can no longer be told apart.
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
    summary="Labels of {{ $labels.metric }} overflow.",
    description="""
        {{ $value | printf "%.0f" }} measurements of {{ $labels.metric }} of {{ $labels.service_name }} were folded together within 15 minutes,
        because a label has too many values.
    """,
)

CERTIFICATE_INVENTORY_STALE = Alert(
    name="TrustCertificateInventoryStale",
    reason="""
        The time of the last reading is what it was a quarter of an hour ago: 15 intervals of the watcher (60 s).
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
    summary="The certificates of {{ $labels.service_name }} are not watched any more.",
    description="""
        {{ $labels.trust_otel_source_name }} was last read {{ with $value }}at {{ . | humanizeTimestamp }}{{ end }}; expiry alerts know nothing newer.
    """,
)

SOURCE_UNREADABLE = Alert(
    name="TrustSourceUnreadable",
    reason="""
        2 minutes let a file that is being replaced pass.
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
        Source {{ $labels.trust_otel_source_name }} ({{ $labels.trust_otel_source_kind }}) of {{ $labels.service_name }} cannot be read; the last good content stays in use.
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
    ),
)
