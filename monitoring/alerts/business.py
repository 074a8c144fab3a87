"""Service level agreements, documents, revenue and compliance."""

from __future__ import annotations

from monitoring.alerts.declaration import Alert, Group, Panel, number
from monitoring.alerts.events import events
from trust_otel.semconv.metrics import TRUST_COMPLIANCE_CHECKS

SLA_VIOLATION = Alert(
    name="TrustSlaViolation",
    reason="""
        At least five missed events, so that a few do not violate the SLA. 5 minutes keep the alert from flapping at
        the threshold.
    """,
    expression="""
        service:trust_sla_misses_per_event:ratio_rate30m
        > on (deployment_environment_name, service_namespace, service_name, trust_sla_name)
        1 - max by (deployment_environment_name, service_namespace, service_name, trust_sla_name) (trust_sla_objective_ratio)
        and
        sum by (deployment_environment_name, service_namespace, service_name, trust_sla_name) (
          increase(trust_sla_events_total{trust_outcome!="success"}[30m])
        ) >= $minimum
    """,
    minimum=number(5),
    wait="5m",
    keep_firing="5m",
    severity="warning",
    team="business",
    category="business",
    panel=Panel("business", 5),
    summary="SLA {{ $labels.trust_sla_name }} of {{ $labels.service_name }} is violated.",
    description="""
        {{ $value | humanizePercentage }} of the events under {{ $labels.trust_sla_name }} missed the SLA within 30 minutes, more than its objective allows.
    """,
)

PROCESSING_VOLUME_UNUSUAL = Alert(
    name="TrustProcessingVolumeUnusual",
    reason="""
        Both directions, compared with the same half hour yesterday and a week ago. Below one document per 100 s
        (usual rate) or per 20 s (current rate) the difference is chance. A new instance has no series before its
        first document: that counts as 0. A service that is down has its own alert, TrustServiceDown.
    """,
    expression="""
        (
          (service:trust_document_processing:rate30m or service:trust_document_processing:rate30m_usual_min * 0)
          < 0.5 * service:trust_document_processing:rate30m_usual_min
          and
          service:trust_document_processing:rate30m_usual_min > 0.01
          and
          service:trust_otel_instances:count
        )
        or
        (
          service:trust_document_processing:rate30m > 2 * service:trust_document_processing:rate30m_usual_max
          and
          service:trust_document_processing:rate30m > 0.05
        )
    """,
    wait="10m",
    keep_firing="10m",
    severity="warning",
    team="business",
    category="business",
    panel=Panel("business", 2),
    summary="{{ $labels.service_name }} processes unusually few or many documents.",
    description="""
        {{ $value | printf "%.3g" }} documents per second: less than half or more than twice the rate at this time of day yesterday and a week ago.
    """,
)

REVENUE_DROP = Alert(
    name="TrustRevenueDrop",
    reason="""
        Half of the usual revenue for 15 minutes. With few sales, some of them large, revenue halves by chance: from 64 usual
        sales on, half is unusual; from 17 on, none at all; between them, four standard deviations of the number of
        sales are the limit. Sales are exports in which a counter has grown: several within 15 s count once, which
        makes the limit lower. No revenue at all counts as 0 while the service is running.
    """,
    expression="""
        (service:trust_revenue_amount:rate30m or service:trust_revenue_amount:rate30m_usual_min * 0)
        < service:trust_revenue_amount:rate30m_usual_min * (1 - clamp_min(4 / sqrt(service:trust_revenue_amount:changes30m_usual_min), 0.5))
        and on (deployment_environment_name, service_namespace, service_name)
        service:trust_otel_instances:count
    """,
    wait="15m",
    keep_firing="10m",
    severity="warning",
    team="business",
    category="business",
    panel=Panel("business", 3),
    summary="Revenue of {{ $labels.service_name }} in {{ $labels.trust_currency }} has dropped.",
    description="""
        {{ $value | printf "%.3g" }} {{ $labels.trust_currency }} per second: less than half the rate at this time of day yesterday and a week ago.
    """,
)

COMPLIANCE_FAILURE = Alert(
    name="TrustComplianceFailure",
    reason="""
        Fires at the first failure, because the compliance officer must look at each one.
    """,
    expression=events(
        TRUST_COMPLIANCE_CHECKS,
        "15m",
        ("trust_compliance_framework", "trust_compliance_control"),
        'trust_outcome!="success"',
    )
    + " > 0$unchecked_controls",
    keep_firing="10m",
    severity="warning",
    team="compliance",
    category="compliance",
    panel=Panel("security", 10),
    summary="Compliance check {{ $labels.trust_compliance_control }} ({{ $labels.trust_compliance_framework }}) $compliance_result.",
    description="""
        $if_unchecked{{ $value | printf "%.0f" }} checks of {{ $labels.trust_compliance_control }} ({{ $labels.trust_compliance_framework }})
        failed at {{ $labels.service_name }} within 15 minutes.$end_unchecked
    """,
)

GROUP = Group(
    "trust-service.business",
    (
        SLA_VIOLATION,
        PROCESSING_VOLUME_UNUSUAL,
        REVENUE_DROP,
        COMPLIANCE_FAILURE,
    ),
)
