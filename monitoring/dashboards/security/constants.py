"""Panel ids, alert thresholds and query helpers of the security dashboard."""

from __future__ import annotations

from typing import Final

from monitoring.alerts import threshold
from monitoring.dashboards.panels import TEXT_COLOUR, ValueTexts
from monitoring.dashboards.queries import increase, recorded, series, total, with_label, zero_if_recorded
from monitoring.dashboards.thresholds import GREEN, YELLOW, Levels
from trust_otel.semconv.metrics import (
    HTTP_SERVER_REQUEST_DURATION,
    TRUST_AUTH_ATTEMPTS,
    TRUST_AUTH_MFA_CHALLENGES,
    TRUST_COMPLIANCE_CHECKS,
    TRUST_OTEL_INSTANCE_UP,
    TRUST_SECURITY_AUTH_FAILURES,
    TRUST_SECURITY_DETECTOR_ENABLED,
    TRUST_SECURITY_INCIDENTS,
)

EVENTS, LOGINS, GEOGRAPHY, RATE_LIMITING, INCIDENTS, ADDRESSES, MFA, AUDIT, THREATS, COMPLIANCE = range(1, 11)

BURST_LIMIT: Final = threshold("TrustAuthFailuresFromAddress")
"""Failed logins of one address within a minute."""
BRUTE_FORCE_LIMIT: Final = threshold("TrustBruteForceFromAddress")
"""Failed logins of one address within an hour."""
RATE_LIMIT_LIMIT: Final = threshold("TrustExcessiveRateLimiting")
"""Requests refused by one rate limit within five minutes."""

YELLOW_FROM_ONE: Final = Levels(GREEN, ((1, YELLOW),))
"""Green at 0, yellow from 1 on: for counts whose alert is a warning."""

FAILED: Final = 'trust_outcome!="success"'
# The first request of a browser has no credentials: it is not a failed login.
WITH_CREDENTIALS: Final = 'trust_auth_method!="none"'

UNMEASURED: Final = f"{total(series(TRUST_OTEL_INSTANCE_UP))} * NaN"
"""NaN while a service reports: a row for events that no service records."""

NO_SEVERITY: Final = "none"
SEVERITIES: Final[ValueTexts] = {
    "critical": ("critical", "red"),
    # Yellow text is not readable on white.
    "warning": ("warning", "orange"),
    "info": ("info", "blue"),
    NO_SEVERITY: ("-", TEXT_COLOUR),
}
_REQUESTS: Final = series(HTTP_SERVER_REQUEST_DURATION, part="_count")
_ATTEMPTS: Final = series(TRUST_AUTH_ATTEMPTS)
_CHALLENGES: Final = series(TRUST_AUTH_MFA_CHALLENGES)


def _zero_if_detected(events: str, *kinds: str) -> str:
    """0 if an instance records these events and has a detector of one of these incident types that reads them."""
    operator = "=~" if len(kinds) > 1 else "="
    enabled = series(TRUST_SECURITY_DETECTOR_ENABLED, f'trust_security_incident_type{operator}"{"|".join(kinds)}"')
    return f"{total(f'({events} and on (service_instance_id) {enabled})')} * 0"


_OF_ATTEMPTS: Final = ("credential_stuffing", "password_spraying", "impossible_travel")
DETECTOR_INPUT_BY_INCIDENT: Final = {
    **{kind: _zero_if_detected(_ATTEMPTS, kind) for kind in _OF_ATTEMPTS},
    "path_scanning": _zero_if_detected(_REQUESTS, "path_scanning"),
    "mfa_fatigue": _zero_if_detected(_CHALLENGES, "mfa_fatigue"),
}
"""Incident types of the detectors, and 0 if the detector is enabled and the events that it reads are recorded."""
DETECTOR_INPUTS: Final = (
    zero_if_recorded(TRUST_SECURITY_INCIDENTS),
    DETECTOR_INPUT_BY_INCIDENT["path_scanning"],
    _zero_if_detected(_ATTEMPTS, *_OF_ATTEMPTS),
    DETECTOR_INPUT_BY_INCIDENT["mfa_fatigue"],
)
"""0 if incidents are recorded, or a detector is enabled and the events that it reads are recorded."""
INCIDENT_TEXTS: Final[ValueTexts] = {
    "credential_stuffing": ("Credential stuffing", TEXT_COLOUR),
    "password_spraying": ("Password spraying", TEXT_COLOUR),
    "impossible_travel": ("Impossible travel", TEXT_COLOUR),
    "path_scanning": ("Path scanning", TEXT_COLOUR),
    "mfa_fatigue": ("MFA fatigue", TEXT_COLOUR),
    "blocked_address": ("Requests from blocked addresses", TEXT_COLOUR),
    "session_replay": ("Session replay", TEXT_COLOUR),
    "forged_certificate": ("Forged certificate", TEXT_COLOUR),
}

NO_LOGINS: Final = "No service records logins. Record them with record_auth_attempt()."
NO_MFA: Final = "No service records MFA challenges. Record them with record_mfa_challenge()."
NO_DETECTION: Final = (
    "No service records security incidents, or requests, logins or MFA challenges for an enabled detector. "
    "TRUST_OTEL_DETECTORS enables them."
)
NO_RATE_LIMITED: Final = "No service has recorded a rate-limited request (HTTP 429, gRPC RESOURCE_EXHAUSTED)."
NO_DECISIONS: Final = "No service records authorization decisions or gRPC calls."
NO_FEEDS: Final = "No reputation feeds are configured. Set TRUST_OTEL_REPUTATION_FEEDS."
NO_OPERATIONS: Final = "No service records privileged operations. Record them with privileged_operation()."
NO_CHECKS: Final = "No service records compliance checks. Record them with record_compliance_check()."
NO_EVENTS: Final = "No service records security events, or Prometheus evaluates no rules."


def whole_events(query: str, *others: str) -> str:
    """Events as whole numbers, which increase() does not give; the first query with a result is used."""
    return " or ".join((f"round({query})", *others))


def failures_by_address(over: str, *by: str) -> str:
    """Failed logins of each tracked address, without those counted as `_other`."""
    return total(increase(TRUST_SECURITY_AUTH_FAILURES, 'client_address!="_other"', over=over), *by)


def checks_of_controls(over: str, *by: str) -> str:
    """Compliance checks of each control that was checked within a week; 0 if none in the window."""
    counted = "service_control:trust_compliance_checks:increase2m"
    known, recent = (total(f"sum_over_time({recorded(counted)}[{window}])", *by) for window in ("1w", over))
    # A new control is recorded after minutes.
    new = total(increase(TRUST_COMPLIANCE_CHECKS, over="10m"), *by)
    return f"({recent} or {known} * 0 or {new})"


def states_of_required_controls(*by: str) -> str:
    """Precedes a query: the states of the controls that the site requires."""
    return f"<<states_of_controls {' '.join(by)}>>"


def placeholder_row(label: str, value: str, zero: str) -> str:
    """Follows `or`: a row or line with this name, as long as `zero` has a result and there is no other row."""
    return f"on () {with_label(zero, label, value)}"


def missing_audit_records(*by: str) -> str:
    """Operations without an audit record for five minutes."""
    missing = recorded("service_instance:trust_audit_unrecorded_operations:count", 'service_instance_id=~"$instance"')
    return total(f"clamp_min(min_over_time({missing}[5m]), 0)", *by)
