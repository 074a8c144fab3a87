"""Attacks, Vault, rate limits and the audit log."""

from __future__ import annotations

from monitoring.alerts.declaration import Alert, Group, Panel, Severity, more_than
from monitoring.alerts.events import events
from trust_otel.semconv.metrics import (
    TRUST_SECURITY_AUTH_FAILURES,
    TRUST_SECURITY_INCIDENTS,
    TRUST_SECURITY_RATE_LIMITED,
)

AUTH_FAILURES_FROM_ADDRESS = Alert(
    name="TrustAuthFailuresFromAddress",
    reason="""
        No `for`, because an attack needs an immediate response. A warning: if the attack continues,
        TrustBruteForceFromAddress pages. `_other` is the sum of many addresses.
    """,
    expression=events(TRUST_SECURITY_AUTH_FAILURES, "1m", ("client_address",), 'client_address!="_other"')
    + " >= $threshold",
    threshold=more_than(10),
    keep_firing="5m",
    severity="warning",
    team="security",
    category="security",
    panel=Panel("security", 6),
    summary="Many failed logins from {{ $labels.client_address }}.",
    description="""
        {{ $value | printf "%.0f" }} failed logins within a minute from {{ $labels.client_address }} at {{ $labels.service_name }} (threshold $threshold).
    """,
)

BRUTE_FORCE_FROM_ADDRESS = Alert(
    name="TrustBruteForceFromAddress",
    reason="""
        No `for`, because an attack needs an immediate response. `_other` is the sum of many addresses.
    """,
    expression=events(TRUST_SECURITY_AUTH_FAILURES, "1h", ("client_address",), 'client_address!="_other"')
    + " >= $threshold",
    threshold=more_than(50),
    keep_firing="5m",
    severity="critical",
    team="security",
    category="security",
    panel=Panel("security", 6),
    summary="Brute force attack from {{ $labels.client_address }}.",
    description="""
        {{ $value | printf "%.0f" }} failed logins within an hour from {{ $labels.client_address }} at {{ $labels.service_name }} (threshold $threshold).
    """,
)


def _suspicious_activity(severity: Severity, matcher: str, reason: str) -> Alert:
    return Alert(
        name="TrustSuspiciousActivity",
        reason=reason,
        expression=events(
            TRUST_SECURITY_INCIDENTS, "10m", ("trust_security_incident_type",), f"trust_severity{matcher}"
        )
        + " > 0",
        keep_firing="5m",
        severity=severity,
        team="security",
        category="security",
        panel=Panel("security", 5),
        summary="Suspicious activity at {{ $labels.service_name }}: {{ $labels.trust_security_incident_type }}.",
        description="""
            {{ $value | printf "%.0f" }} incidents of type {{ $labels.trust_security_incident_type }} at {{ $labels.service_name }} within 10 minutes.
        """,
    )


SUSPICIOUS_ACTIVITY = (
    _suspicious_activity(
        "critical",
        '="critical"',
        """
        The severity is the one that the detector or the service reported. Fires at the first incident. A detector
        reports an ongoing attack every 5 minutes, so a window of 10 minutes keeps one alert firing.
        """,
    ),
    _suspicious_activity("warning", '=~"warning|_other"', "An unknown severity counts as a warning."),
    _suspicious_activity("info", '="info"', "For the record: nobody needs to act on it."),
)

VAULT_UNAVAILABLE = Alert(
    name="TrustVaultUnavailable",
    reason="""
        The check runs every 15 s, so one minute is four failed checks. The worst instance counts. Pushed series
        have no staleness marker: without the range, the last value of a stopped instance would count for 5 more
        minutes.
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
        At least one instance of {{ $labels.service_name }} cannot use Vault {{ $labels.trust_dependency_name }}: it is sealed or unreachable (see `error_type` of trust_dependency_check_duration_seconds).
    """,
)

EXCESSIVE_RATE_LIMITING = Alert(
    name="TrustExcessiveRateLimiting",
    reason="""
        A limit that rejects ten requests per minute for several minutes is either under attack or too low.
    """,
    expression=events(TRUST_SECURITY_RATE_LIMITED, "5m", ("trust_rate_limit_name",)) + " >= $threshold",
    threshold=more_than(50),
    keep_firing="5m",
    severity="warning",
    team="security",
    category="security",
    panel=Panel("security", 4),
    summary="Rate limit {{ $labels.trust_rate_limit_name }} rejects many requests.",
    description="""
        {{ $value | printf "%.0f" }} requests were rejected by {{ $labels.trust_rate_limit_name }} of {{ $labels.service_name }}
        within 5 minutes (threshold $threshold).
    """,
)

AUDIT_RECORDS_MISSING = Alert(
    name="TrustAuditRecordsMissing",
    reason="""
        An operation is counted when it begins and its record when it is written, so an operation in flight looks
        like a missing record: the minimum over 5 minutes excludes it. The comparison with the minimum of the
        previous 5 minutes is needed because a missing record stays missing.

        The first operation of an instance has no such minimum: what is missing since the series began counts, if
        Prometheus saw the instance before it or from the start of the process, also when the process has ended within
        the 5 minutes.
    """,
    expression="""
        sum by (deployment_environment_name, service_namespace, service_name, trust_audit_action) (
          (
            min_over_time(service_instance:trust_audit_unrecorded_operations:count[5m])
            and
            service_instance:trust_audit_unrecorded_operations:count offset 5m
            unless
            service_instance:trust_audit_unrecorded_operations:count offset 10m
            and on (deployment_environment_name, service_namespace, service_name, service_instance_id, trust_audit_action)
            count_over_time(trust_audit_operations_total[10m])
            < ignoring (trust_audit_action, service_instance_id) group_left ()
            (max without (service_instance_id) (count_over_time(trust_otel_instance_up[10m])) + target:trust_otel_instance:seen_from_start1h)
          )
          or
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
        {{ $value | printf "%.0f" }} operations {{ $labels.trust_audit_action }} of {{ $labels.service_name }} have no record in the audit log.
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
