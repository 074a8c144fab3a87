"""Attacks, Vault, rate limits and the audit log."""

from __future__ import annotations

from monitoring.alerts.declaration import Alert, Group, Panel, Severity, more_than

AUTH_FAILURES_FROM_ADDRESS = Alert(
    name="TrustAuthFailuresFromAddress",
    reason="""
        A7: more than 10 a minute from one address. At once, for an attack does not wait; not by day and night, for the limit
        of the hour (A8) wakes people when it goes on. `_other` is many addresses together.
    """,
    expression="""
        sum by (deployment_environment_name, service_namespace, service_name, client_address) (
          increase(trust_security_auth_failures_total{client_address!="_other"}[1m])
        ) >= $threshold
    """,
    threshold=more_than(10),
    keep_firing="5m",
    severity="warning",
    team="security",
    category="security",
    panel=Panel("security", 6),
    summary="Address {{ $labels.client_address }} fails to log in again and again.",
    description="""
        {{ $value | printf "%.0f" }} failed logins within a minute from {{ $labels.client_address }} at {{ $labels.service_name }} (threshold $threshold).
    """,
)

BRUTE_FORCE_FROM_ADDRESS = Alert(
    name="TrustBruteForceFromAddress",
    reason="""
        A8: more than 50 an hour from one address.
    """,
    expression="""
        sum by (deployment_environment_name, service_namespace, service_name, client_address) (
          increase(trust_security_auth_failures_total{client_address!="_other"}[1h])
        ) >= $threshold
    """,
    threshold=more_than(50),
    keep_firing="5m",
    severity="critical",
    team="security",
    category="security",
    panel=Panel("security", 6),
    summary="Address {{ $labels.client_address }} guesses passwords.",
    description="""
        {{ $value | printf "%.0f" }} failed logins within an hour from {{ $labels.client_address }} at {{ $labels.service_name }} (threshold $threshold).
    """,
)


def _suspicious_activity(severity: Severity, matcher: str, reason: str) -> Alert:
    return Alert(
        name="TrustSuspiciousActivity",
        reason=reason,
        expression=f"""
            sum by (deployment_environment_name, service_namespace, service_name, trust_security_incident_type) (
              increase(trust_security_incidents_total{{trust_severity{matcher}}}[10m])
            ) > 0
        """,
        keep_firing="5m",
        severity=severity,
        team="security",
        category="security",
        panel=Panel("security", 5),
        summary="Suspicious activity at {{ $labels.service_name }}: {{ $labels.trust_security_incident_type }}.",
        description="""
            {{ $value | printf "%.0f" }} incidents of kind {{ $labels.trust_security_incident_type }} at {{ $labels.service_name }} within 10 minutes.
        """,
    )


SUSPICIOUS_ACTIVITY = (
    _suspicious_activity(
        "critical",
        '="critical"',
        """
        A9, with the severity that the detector or the service gave. The first incident counts. A detector tells of an attack
        that goes on every 5 minutes, so 10 minutes keep one alert firing.
        """,
    ),
    _suspicious_activity("warning", '=~"warning|_other"', "A9. A severity that nobody knows is a warning."),
    _suspicious_activity("info", '="info"', "A9, for the record."),
)

VAULT_UNAVAILABLE = Alert(
    name="TrustVaultUnavailable",
    reason="""
        A10. Checked every 15 s; a minute is four failed checks. The worst instance counts. Pushed series have no end: without the
        range, the last word of an instance that is gone would count for 5 minutes more.
    """,
    expression="""
        min by (deployment_environment_name, service_namespace, service_name, trust_dependency_name) (
          last_over_time(trust_dependency_up{trust_dependency_type="vault"}[1m])
        ) == 0
    """,
    wait="1m",
    keep_firing="2m",
    severity="critical",
    team="security",
    category="dependency",
    panel=Panel("operational", 8),
    summary="Vault {{ $labels.trust_dependency_name }} is not available to {{ $labels.service_name }}.",
    description="""
        At least one instance of {{ $labels.service_name }} finds Vault {{ $labels.trust_dependency_name }} sealed or out of reach;
        `error_type` of trust_dependency_check_duration_seconds says which.
    """,
)

EXCESSIVE_RATE_LIMITING = Alert(
    name="TrustExcessiveRateLimiting",
    reason="""
        A11. A limit that refuses ten a minute for minutes is either under attack or too tight.
    """,
    expression="""
        sum by (deployment_environment_name, service_namespace, service_name, trust_rate_limit_name) (
          increase(trust_security_rate_limited_total[5m])
        ) >= $threshold
    """,
    threshold=more_than(50),
    keep_firing="5m",
    severity="warning",
    team="security",
    category="security",
    panel=Panel("security", 4),
    summary="Rate limit {{ $labels.trust_rate_limit_name }} refuses many requests.",
    description="""
        {{ $value | printf "%.0f" }} requests were refused by {{ $labels.trust_rate_limit_name }} of {{ $labels.service_name }}
        within 5 minutes (threshold $threshold).
    """,
)

AUDIT_RECORDS_MISSING = Alert(
    name="TrustAuditRecordsMissing",
    reason="""
        S8. An operation counts when it begins and its record when it is written, so that one under way looks missing for a
        moment: the least of 5 minutes leaves it out. More than the least of the 5 minutes before, because what is missing
        once stays missing.
    """,
    expression="""
        sum by (deployment_environment_name, service_namespace, service_name, trust_audit_action) (
          min_over_time(service_instance:trust_audit_unrecorded_operations:count[5m])
          -
          min_over_time(service_instance:trust_audit_unrecorded_operations:count[5m] offset 5m)
        ) > 0
    """,
    keep_firing="10m",
    severity="critical",
    team="security",
    category="audit",
    panel=Panel("security", 8),
    summary="Audit records of {{ $labels.service_name }} are missing.",
    description="""
        {{ $value | printf "%.0f" }} operations {{ $labels.trust_audit_action }} of {{ $labels.service_name }} left no record in the audit log.
    """,
)

GROUP = Group(
    "trust-service.security",
    (
        AUTH_FAILURES_FROM_ADDRESS,
        BRUTE_FORCE_FROM_ADDRESS,
        *SUSPICIOUS_ACTIVITY,
        VAULT_UNAVAILABLE,
        EXCESSIVE_RATE_LIMITING,
        AUDIT_RECORDS_MISSING,
    ),
)
