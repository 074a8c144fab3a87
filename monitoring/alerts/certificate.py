"""Certificates, signing, certificate authorities and revocation lists."""

from __future__ import annotations

from typing import Final

from monitoring.alerts.declaration import Alert, Group, Panel, Severity, Threshold, days, number, ratio
from monitoring.alerts.events import events
from trust_otel.semconv.metrics import TRUST_CERTIFICATE_OPERATION_DURATION

CERTIFICATE_VALIDATION_FAILURES = Alert(
    name="TrustCertificateValidationFailures",
    reason="""
        At least 20 validations, because a ratio of a few is chance. 2 minutes skip a single bad batch. Below 180 validations,
        more than the threshold can fail by chance where half of it is usual, so three standard deviations are added to this
        half. Where 5 minutes have fewer, the last hour counts, with at least five failures, and the same share in the
        last 30 minutes.
    """,
    expression="""
        service:trust_certificate_validation_failures_per_validation:ratio_rate5m
        > clamp_min($threshold / 2 + 3 * sqrt($threshold / 2 / (service:trust_certificate_validations:rate5m * 300)), $threshold)
        and
        service:trust_certificate_validations:rate5m * 300 >= $minimum
        or
        sum_over_time(service:trust_certificate_validation_failures:rate5m[1h:5m]) / sum_over_time(service:trust_certificate_validations:rate5m[1h:5m])
        > clamp_min($threshold / 2 + 3 * sqrt($threshold / 2 / (sum_over_time(service:trust_certificate_validations:rate5m[1h:5m]) * 300)), $threshold)
        and
        sum_over_time(service:trust_certificate_validation_failures:rate5m[1h:5m]) * 300 >= 5
        and
        avg_over_time(service:trust_certificate_validation_failures:rate5m[30m]) / avg_over_time(service:trust_certificate_validations:rate5m[30m]) > $threshold
        unless
        avg_over_time(service:trust_certificate_validations:rate5m[1h]) * 300 >= 18 / $threshold
    """,
    threshold=ratio(0.1),
    minimum=number(20),
    wait="2m",
    keep_firing="5m",
    severity="critical",
    team="platform",
    category="certificate",
    panel=Panel("operational", 38),
    summary="Many certificate validations of {{ $labels.service_name }} fail.",
    description="""
        {{ $value | humanizePercentage }} of the certificate validations of {{ $labels.service_name }} fail (threshold $threshold).
    """,
)


def _certificate_expiring(severity: Severity, threshold: Threshold, reason: str) -> Alert:
    return Alert(
        name="TrustCertificateExpiring",
        reason=reason,
        expression="""
            min by (deployment_environment_name, service_namespace, service_name, trust_certificate_name, trust_certificate_type) (
              trust_certificate_not_after_seconds - time()
            ) < $threshold
            and
            min by (deployment_environment_name, service_namespace, service_name, trust_certificate_name, trust_certificate_type) (
              (trust_certificate_not_after_seconds - time())
              /
              (trust_certificate_not_after_seconds - trust_certificate_not_before_seconds)
            ) < 1 / 3
        """,
        threshold=threshold,
        wait="1m",
        keep_firing="2m",
        severity=severity,
        team="platform",
        category="certificate",
        panel=Panel("operational", 37),
        summary="Certificate {{ $labels.trust_certificate_name }} expires soon.",
        description="""
            Certificate {{ $labels.trust_certificate_name }} of {{ $labels.service_name }}
            {{ if gt $value 0.0 }}expires in {{ $value | humanizeDuration }}{{ else }}has expired{{ end }}
            (threshold $threshold and a third of its lifetime).
        """,
    )


CERTIFICATE_EXPIRING = (
    _certificate_expiring(
        "critical",
        days(7),
        """
        A certificate that is valid for one day always expires soon, so less than a third of its lifetime must also be
        left, which is when renewal is due. Every instance counts, because one may still use the old certificate.
        1 minute, because a file may be read while it is being written.
        """,
    ),
    _certificate_expiring("warning", days(30), "Early enough to plan the renewal."),
)

SIGNING_FAILURES = Alert(
    name="TrustSigningFailures",
    reason="""
        Fires at the first error, because a key that cannot be used is never normal. Requests that the policy
        rejects (`failure`) do not count.
    """,
    expression=events(
        TRUST_CERTIFICATE_OPERATION_DURATION,
        "5m",
        ("trust_certificate_type",),
        'trust_certificate_operation="signing", trust_outcome="error"',
    )
    + " > 0",
    keep_firing="5m",
    severity="critical",
    team="platform",
    category="certificate",
    panel=Panel("operational", 38),
    summary="{{ $labels.service_name }} cannot sign.",
    description="""
        {{ $value | printf "%.0f" }} signing operations of {{ $labels.service_name }} ({{ or $labels.trust_certificate_type "no type" }}) failed with an error within 5 minutes.
    """,
)

_RENEWAL_DUE: Final = """
    max by (deployment_environment_name, service_namespace, service_name, trust_certificate_name, trust_certificate_kind) (
      trust_certificate_lead_time_seconds{trust_certificate_kind%s}
      - ignoring (trust_certificate_kind, trust_certificate_chain_position) group_left ()
      (trust_certificate_not_after_seconds - time())
    ) > 0
"""

CA_ROLLOVER_DUE = Alert(
    name="TrustCaRolloverDue",
    reason="""
        A certificate authority is replaced months before it expires: its successor must be generated in a key ceremony,
        certified, and known to relying parties before the first certificate that it issues, and no certificate may outlive its
        issuer. The lead time of its kind (TRUST_OTEL_CERTIFICATE_LEAD_DAYS) decides, and at most a third of its
        lifetime. TrustCertificateExpiring inhibits this alert, when far less time is left. The instance with the oldest
        certificate counts.
    """,
    expression=_RENEWAL_DUE % '=~"root|issuing_ca|csca"',
    wait="1m",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="certificate",
    panel=Panel("pki", 8),
    summary="Certificate authority {{ $labels.trust_certificate_name }} must be replaced.",
    description="""
        The rollover of {{ $labels.trust_certificate_name }} ({{ $labels.trust_certificate_kind }}) of {{ $labels.service_name }} is due since {{ $value | humanizeDuration }}.
    """,
)

CERTIFICATE_RENEWAL_DUE = Alert(
    name="TrustCertificateRenewalDue",
    reason="""
        All certificates but those of authorities, for which TrustCaRolloverDue fires. The lead time of the kind
        (TRUST_OTEL_CERTIFICATE_LEAD_DAYS) decides: signers need more than the 30 days of TrustCertificateExpiring, because
        their keys are in hardware and their certificates in trust lists. TrustCertificateExpiring inhibits this alert for
        the same certificate, so that a certificate whose lead time is 30 days or less is notified once.
    """,
    expression=_RENEWAL_DUE % '!~"root|issuing_ca|csca"',
    wait="1m",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="certificate",
    panel=Panel("pki", 2),
    summary="The renewal of certificate {{ $labels.trust_certificate_name }} is due.",
    description="""
        The renewal of certificate {{ $labels.trust_certificate_name }} ({{ or $labels.trust_certificate_kind "unknown kind" }}) of {{ $labels.service_name }} is due since
        {{ $value | humanizeDuration }}.
    """,
)

VALIDATION_INDETERMINATE = Alert(
    name="TrustValidationIndeterminate",
    reason="""
        ETSI EN 319 102-1: INDETERMINATE says that information is missing, such as revocation status, a chain to a trust
        anchor or a proof of existence. Few are normal; many mean that a source of this information is gone. An
        hour and at least five of them, because a ratio of a few is chance.
    """,
    expression="""
        sum by (deployment_environment_name, service_namespace, service_name) (
          increase(trust_validation_results_total{trust_validation_indication="INDETERMINATE"}[1h])
        )
        /
        (
          sum by (deployment_environment_name, service_namespace, service_name) (
            increase(trust_validation_results_total[1h])
          ) > 0
        )
        > $threshold
        and
        sum by (deployment_environment_name, service_namespace, service_name) (
          increase(trust_validation_results_total{trust_validation_indication="INDETERMINATE"}[1h])
        ) >= $minimum
    """,
    threshold=ratio(0.2),
    minimum=number(5),
    wait="2m",
    keep_firing="5m",
    severity="warning",
    team="platform",
    category="certificate",
    panel=Panel("pki", 9),
    summary="Many validations of {{ $labels.service_name }} are INDETERMINATE.",
    description="""
        {{ $value | humanizePercentage }} of the validations of {{ $labels.service_name }} within an hour are INDETERMINATE (threshold $threshold).
    """,
)

PKI_UNAVAILABLE = Alert(
    name="TrustPkiUnavailable",
    reason="""
        The check runs every 15 s, so one minute is four failed checks. The worst instance counts. Without the
        range, the last value of a stopped instance would count for 5 more minutes.
    """,
    expression="""
        min by (deployment_environment_name, service_namespace, service_name, trust_dependency_name) (
          last_over_time(trust_dependency_up{trust_dependency_type="pki"}[1m])
        ) == 0
    """,
    wait="1m",
    keep_firing="2m",
    severity="critical",
    team="platform",
    category="dependency",
    panel=Panel("operational", 8),
    summary="PKI {{ $labels.trust_dependency_name }} is not available to {{ $labels.service_name }}.",
    description="""
        At least one instance of {{ $labels.service_name }} cannot reach {{ $labels.trust_dependency_name }}: certificates cannot be issued or revoked.
    """,
)

REVOCATION_LIST_STALE = Alert(
    name="TrustRevocationListStale",
    reason="""
        RFC 5280, section 5.1.2.5. The newest list that any instance has seen counts. 1 minute, because a new list
        is often published at the last moment.
    """,
    expression="""
        time() - max by (deployment_environment_name, service_namespace, service_name, trust_certificate_crl_name) (
          trust_certificate_crl_next_update_seconds
        ) > 0
    """,
    wait="1m",
    keep_firing="2m",
    severity="critical",
    team="platform",
    category="certificate",
    panel=Panel("operational", 39),
    summary="Revocation list {{ $labels.trust_certificate_crl_name }} is out of date.",
    description="""
        The next revocation list of {{ $labels.trust_certificate_crl_name }} is overdue by {{ $value | humanizeDuration }}; strict verifiers reject every certificate of this issuer.
    """,
)

GROUP = Group(
    "trust-service.certificate",
    (
        CERTIFICATE_VALIDATION_FAILURES,
        *CERTIFICATE_EXPIRING,
        SIGNING_FAILURES,
        PKI_UNAVAILABLE,
        REVOCATION_LIST_STALE,
        CA_ROLLOVER_DUE,
        CERTIFICATE_RENEWAL_DUE,
        VALIDATION_INDETERMINATE,
    ),
)
