"""Lists of trust anchors, certificate transparency and ACME."""

from __future__ import annotations

from monitoring.alerts.declaration import Alert, Group, Panel, days, number, ratio
from monitoring.alerts.events import events
from trust_otel.semconv.metrics import TRUST_CT_UNKNOWN_CERTIFICATES

_LIST_STALE_WARNING = Alert(
    name="TrustListStale",
    reason="""
        Less than a tenth of the period between issue and next update, which is how early scheme operators issue the
        next list, or less than two days and a third of the period. A master list states no next update: it is due
        180 days after its signing time. The newest list that any instance has read counts. 1 minute skips a list that is
        being replaced.
    """,
    expression="""
        max by (deployment_environment_name, service_namespace, service_name, trust_trust_list_name) (
          trust_trust_list_next_update_seconds - time()
        ) < $threshold
        and
        max by (deployment_environment_name, service_namespace, service_name, trust_trust_list_name) (
          (trust_trust_list_next_update_seconds - time())
          /
          (trust_trust_list_next_update_seconds - trust_trust_list_issue_date_seconds > 0)
        ) < 1 / 3
        or
        max by (deployment_environment_name, service_namespace, service_name, trust_trust_list_name) (
          trust_trust_list_next_update_seconds - time()
        )
        and
        max by (deployment_environment_name, service_namespace, service_name, trust_trust_list_name) (
          (trust_trust_list_next_update_seconds - time())
          /
          (trust_trust_list_next_update_seconds - trust_trust_list_issue_date_seconds > 0)
        ) < 0.1
        or
        max by (deployment_environment_name, service_namespace, service_name, trust_trust_list_name) (
          (trust_trust_list_issue_date_seconds unless trust_trust_list_next_update_seconds) - time()
        ) + 180 * 86400 < 0
    """,
    threshold=days(2),
    wait="1m",
    keep_firing="2m",
    severity="warning",
    team="platform",
    category="dependency",
    panel=Panel("pki", 40),
    summary="Trust list {{ $labels.trust_trust_list_name }} is almost out of date.",
    description="""
        The next version of trust list {{ $labels.trust_trust_list_name }} of {{ $labels.service_name }}
        {{ if gt $value 0.0 }}is due in {{ $value | humanizeDuration }}{{ else }}is overdue{{ end }}
        (threshold $threshold and a third of its period, or a tenth of its period).
    """,
)

LIST_STALE = (
    Alert(
        name="TrustListStale",
        reason="""
            ETSI TS 119 612, 5.3.15: an expired list must not be used. The newest list that any instance has read counts.
            1 minute, because a new list is often published at the last moment.
        """,
        expression="""
            time() - max by (deployment_environment_name, service_namespace, service_name, trust_trust_list_name) (
              trust_trust_list_next_update_seconds
            ) > 0
        """,
        wait="1m",
        keep_firing="2m",
        severity="critical",
        team="platform",
        category="dependency",
        panel=Panel("pki", 40),
        summary="Trust list {{ $labels.trust_trust_list_name }} is out of date.",
        description="""
            The next version of trust list {{ $labels.trust_trust_list_name }} of {{ $labels.service_name }} is overdue by {{ $value | humanizeDuration }}; relying parties may not use its trust anchors.
        """,
    ),
    _LIST_STALE_WARNING,
)

LIST_SIGNATURE_INVALID = Alert(
    name="TrustListSignatureInvalid",
    reason="""
        Trust anchors of an attacker make every certificate that they issue valid, so one instance is enough. 1 minute
        are four exports of the result of the last read.
    """,
    expression="""
        max by (deployment_environment_name, service_namespace, service_name, trust_trust_list_name) (
          trust_trust_list_signature{trust_trust_list_signature_status="invalid"}
        ) == 1
    """,
    wait="1m",
    keep_firing="5m",
    severity="critical",
    team="security",
    category="security",
    panel=Panel("pki", 40),
    summary="The signature of trust list {{ $labels.trust_trust_list_name }} is invalid.",
    description="""
        {{ $labels.service_name }} read a version of trust list {{ $labels.trust_trust_list_name }} that none of the signers in TRUST_OTEL_TRUST_LIST_SIGNERS signed as it is.
    """,
)

UNKNOWN_CERTIFICATE_ISSUED = Alert(
    name="TrustUnknownCertificateIssued",
    reason="""
        Fires at the first one, because a certificate that the service did not issue means a stolen key, a mistake of
        another CA or an attack. The alert stays for an hour, because the certificate does.
    """,
    expression=events(TRUST_CT_UNKNOWN_CERTIFICATES, "5m") + " > 0",
    keep_firing="1h",
    severity="critical",
    team="security",
    category="security",
    panel=Panel("pki", 45),
    summary="A certificate was found that {{ $labels.service_name }} did not issue.",
    description="""
        A monitor of certificate transparency found certificates that {{ $labels.service_name }} did not issue; instances counted {{ $value | printf "%.0f" }} within 5 minutes.
    """,
)

ACME_FAILURES = Alert(
    name="TrustAcmeFailures",
    reason="""
        Of the orders that ended within an hour. At least five must have failed, because clients with mistakes of their
        own repeat an order.
    """,
    expression="""
        sum by (deployment_environment_name, service_namespace, service_name) (
          increase(trust_acme_orders_total{trust_acme_order_status="invalid"}[1h])
        )
        /
        (
          sum by (deployment_environment_name, service_namespace, service_name) (
            increase(trust_acme_orders_total{trust_acme_order_status=~"valid|invalid"}[1h])
          ) > 0
        )
        > $threshold
        and
        sum by (deployment_environment_name, service_namespace, service_name) (
          increase(trust_acme_orders_total{trust_acme_order_status="invalid"}[1h])
        ) >= $minimum
    """,
    threshold=ratio(0.2),
    minimum=number(5),
    keep_firing="10m",
    severity="warning",
    team="platform",
    category="dependency",
    panel=Panel("pki", 47),
    summary="Many ACME orders of {{ $labels.service_name }} fail.",
    description="""
        {{ $value | humanizePercentage }} of the ACME orders of {{ $labels.service_name }} that ended within an hour are invalid (threshold $threshold).
    """,
)

GROUP = Group(
    "trust-service.trust-anchors",
    (*LIST_STALE, LIST_SIGNATURE_INVALID, UNKNOWN_CERTIFICATE_ISSUED, ACME_FAILURES),
)
