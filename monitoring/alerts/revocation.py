"""Revocation latency, revocation lists that are due, and OCSP responses."""

from __future__ import annotations

from monitoring.alerts.declaration import Alert, Group, Panel, Severity, Threshold, days, ratio, seconds
from monitoring.alerts.events import later_than
from trust_otel.semconv.metrics import (
    TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION,
    TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION,
)


def _decision_overdue(severity: Severity, threshold: Threshold, reason: str) -> Alert:
    return Alert(
        name="TrustRevocationDecisionOverdue",
        reason=reason,
        expression="""
            max by (deployment_environment_name, service_namespace, service_name) (
              trust_certificate_revocation_pending_age_seconds{trust_certificate_revocation_pending="decision"}
            ) > $threshold
        """,
        threshold=threshold,
        wait="1m",
        keep_firing="2m",
        severity=severity,
        team="platform",
        category="revocation",
        panel=Panel("pki", 3),
        summary="A request for a revocation at {{ $labels.service_name }} waits for its decision.",
        description="""
            The oldest request to revoke, suspend or unsuspend a certificate at {{ $labels.service_name }} has waited
            {{ $value | humanizeDuration }} for its decision (threshold $threshold).
        """,
    )


DECISION_OVERDUE = (
    _decision_overdue(
        "critical",
        seconds(86400),
        """
        ETSI EN 319 411-1: at most 24 hours from the request to the decision. The limit is missed now. All instances
        report the same store, and the largest age counts.
        """,
    ),
    _decision_overdue("warning", seconds(72000), "20 hours leave 4 of the 24 hours to decide."),
)


def _publication_overdue(severity: Severity, threshold: Threshold, reason: str) -> Alert:
    return Alert(
        name="TrustRevocationPublicationOverdue",
        reason=reason,
        expression="""
            max by (deployment_environment_name, service_namespace, service_name, trust_certificate_revocation_pending) (
              trust_certificate_revocation_pending_age_seconds{trust_certificate_revocation_pending=~"crl|ocsp"}
            ) > $threshold
        """,
        threshold=threshold,
        wait="1m",
        keep_firing="2m",
        severity=severity,
        team="platform",
        category="revocation",
        panel=Panel("pki", 3),
        summary="A revocation of {{ $labels.service_name }} is not published.",
        description="""
            The oldest decision of {{ $labels.service_name }} that {{ $labels.trust_certificate_revocation_pending }} does not
            show yet was made {{ $value | humanizeDuration }} ago (threshold $threshold).
        """,
    )


PUBLICATION_OVERDUE = (
    _publication_overdue(
        "critical",
        seconds(3600),
        """
        ETSI EN 319 411-1: at most 60 minutes from the decision until relying parties can see it. The limit is missed
        now. All instances report the same store, and the largest age counts.
        """,
    ),
    _publication_overdue("warning", seconds(2700), "45 minutes leave 15 of the 60 minutes to publish."),
)

REVOCATION_LATE = Alert(
    name="TrustRevocationLate",
    reason="""
        A revocation that was decided after more than 24 hours, or published more than 60 minutes after the decision
        (ETSI EN 319 411-1). Nothing is left to do for it, but it must be explained, and a service may not report what is
        pending. Fires at the first one.
    """,
    expression=later_than(
        TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION, 3600, "1h", ("trust_certificate_revocation_channel",)
    )
    + " > 0\nor\n"
    + later_than(TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION, 86400, "1h")
    + " > 0",
    keep_firing="5m",
    severity="warning",
    team="platform",
    category="revocation",
    panel=Panel("pki", 22),
    summary="A revocation of {{ $labels.service_name }} was late.",
    description="""
        {{ $value | printf "%.0f" }} revocations of {{ $labels.service_name }} were
        {{ if $labels.trust_certificate_revocation_channel }}published in {{ $labels.trust_certificate_revocation_channel }} more
        than 60 minutes after the decision{{ else }}decided more than 24 hours after the request{{ end }} within the last hour.
    """,
)

LIST_NOT_PUBLISHED = Alert(
    name="TrustRevocationListNotPublished",
    reason="""
        A list that is replaced only when its nextUpdate has come leaves no time to repair the publication, so an issuer
        publishes the next one before. The newest list that any instance has read counts. Once nextUpdate has
        passed, TrustRevocationListStale fires instead. A site whose lists overlap sets a lower threshold: for lists
        that are valid for a week and published every day, 0.2 is 34 hours.
    """,
    expression="""
        (
          time() - max by (deployment_environment_name, service_namespace, service_name, trust_certificate_crl_name) (
            trust_certificate_crl_this_update_seconds
          )
        )
        /
        (
          max by (deployment_environment_name, service_namespace, service_name, trust_certificate_crl_name) (
            trust_certificate_crl_next_update_seconds
          )
          - max by (deployment_environment_name, service_namespace, service_name, trust_certificate_crl_name) (
            trust_certificate_crl_this_update_seconds
          )
        )
        > $threshold < 1
    """,
    threshold=ratio(0.9),
    wait="1m",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="revocation",
    panel=Panel("pki", 4),
    summary="Revocation list {{ $labels.trust_certificate_crl_name }} has no successor yet.",
    description="""
        {{ $value | humanizePercentage }} of the time between thisUpdate and nextUpdate of {{ $labels.trust_certificate_crl_name }} has passed
        (threshold $threshold), and {{ $labels.service_name }} has seen no newer list.
    """,
)

OCSP_RESPONSE_STALE = Alert(
    name="TrustOcspResponseStale",
    reason="""
        RFC 6960, section 4.2.2.1: a response whose nextUpdate has passed is not to be relied on. Without a nextUpdate, newer
        information is always available, and the threshold is the age of thisUpdate. The newest response that any
        instance has verified counts. 5 minutes, because the monitor asks once a minute and a response is often
        replaced at the last moment.
    """,
    expression="""
        time() - max by (deployment_environment_name, service_namespace, service_name, trust_certificate_ocsp_responder) (
          trust_certificate_ocsp_next_update_seconds
        ) > 0
        or
        (
          time() - max by (deployment_environment_name, service_namespace, service_name, trust_certificate_ocsp_responder) (
            trust_certificate_ocsp_this_update_seconds
          ) - $threshold > 0
          unless
          max by (deployment_environment_name, service_namespace, service_name, trust_certificate_ocsp_responder) (
            trust_certificate_ocsp_next_update_seconds
          )
        )
    """,
    threshold=days(1),
    wait="5m",
    keep_firing="2m",
    severity="critical",
    team="platform",
    category="revocation",
    panel=Panel("pki", 5),
    summary="The OCSP responses of {{ $labels.trust_certificate_ocsp_responder }} are out of date.",
    description="""
        The last verified OCSP response of {{ $labels.trust_certificate_ocsp_responder }} that {{ $labels.service_name }} received is out of date since
        {{ $value | humanizeDuration }}: its nextUpdate has passed, or it has none and is older than $threshold.
    """,
)

GROUP = Group(
    "trust-service.revocation",
    (
        *DECISION_OVERDUE,
        *PUBLICATION_OVERDUE,
        REVOCATION_LATE,
        LIST_NOT_PUBLISHED,
        OCSP_RESPONSE_STALE,
    ),
)
