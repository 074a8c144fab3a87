"""What several modules of this dashboard name: its panels, limits of the alerts, and parts of queries."""

from __future__ import annotations

from typing import Final

from monitoring.dashboards.panels import TEXT_COLOUR, Words
from monitoring.dashboards.queries import increase, measured, named, recorded, series, total
from monitoring.dashboards.thresholds import GREEN, YELLOW, Levels, limit
from trust_otel.semconv.definitions import Metric
from trust_otel.semconv.metrics import (
    HTTP_SERVER_REQUEST_DURATION,
    TRUST_AUTH_ATTEMPTS,
    TRUST_AUTH_MFA_CHALLENGES,
    TRUST_OTEL_INSTANCE_UP,
    TRUST_SECURITY_AUTH_FAILURES,
    TRUST_SECURITY_INCIDENTS,
    TRUST_SECURITY_RATE_LIMITED,
)

EVENTS, LOGINS, ORIGINS, REFUSALS, INCIDENTS, ADDRESSES, SECOND_FACTORS, AUDIT, THREATS, COMPLIANCE = range(1, 11)

_FAILURES: Final = TRUST_SECURITY_AUTH_FAILURES.prometheus_name
BURST_LIMIT: Final = limit("TrustAuthFailuresFromAddress", _FAILURES)
"""Failures of an address in a minute."""
BRUTE_FORCE_LIMIT: Final = limit("TrustBruteForceFromAddress", _FAILURES)
"""Failures of an address in an hour."""
RATE_LIMIT_LIMIT: Final = limit("TrustExcessiveRateLimiting", TRUST_SECURITY_RATE_LIMITED.prometheus_name)
"""Refusals of a limit in five minutes."""

WARN_OF_ANY: Final = Levels(GREEN, ((1, YELLOW),))
"""Green at 0 only, for whole numbers whose alert is a warning."""

FAILED: Final = 'trust_outcome!="success"'
# The first request of a browser has no credentials, and is no failed login.
WITH_CREDENTIALS: Final = 'trust_auth_method!="none"'

UNMEASURED: Final = f"{total(series(TRUST_OTEL_INSTANCE_UP))} * NaN"
"""No number as long as a service is heard of: a row for what it does not measure."""

NO_SEVERITY: Final = "none"
SEVERITIES: Final[Words] = {
    "critical": ("critical", "red"),
    # Yellow letters cannot be read on white.
    "warning": ("warning", "orange"),
    "info": ("info", "blue"),
    NO_SEVERITY: ("-", TEXT_COLOUR),
}
_REQUESTED: Final = measured(HTTP_SERVER_REQUEST_DURATION, part="_count")
_ATTEMPTED: Final = measured(TRUST_AUTH_ATTEMPTS)
_CHALLENGED: Final = measured(TRUST_AUTH_MFA_CHALLENGES)
DETECTED: Final = {
    "credential_stuffing": _ATTEMPTED,
    "password_spraying": _ATTEMPTED,
    "impossible_travel": _ATTEMPTED,
    "path_scanning": _REQUESTED,
    "mfa_fatigue": _CHALLENGED,
}
"""Kinds of incidents of the detectors, and 0 where what the detector watches is recorded; services add theirs."""
WATCHED: Final = (measured(TRUST_SECURITY_INCIDENTS), _REQUESTED, _ATTEMPTED, _CHALLENGED)
"""0 where incidents are recorded, or anything that a detector watches."""
INCIDENT_WORDS: Final[Words] = {
    "credential_stuffing": ("Credential stuffing", TEXT_COLOUR),
    "password_spraying": ("Password spraying", TEXT_COLOUR),
    "impossible_travel": ("Impossible travel", TEXT_COLOUR),
    "path_scanning": ("Path scanning", TEXT_COLOUR),
    "mfa_fatigue": ("MFA fatigue", TEXT_COLOUR),
    "blocked_address": ("Request of a blocked address", TEXT_COLOUR),
    "session_replay": ("Session used by another client", TEXT_COLOUR),
    "forged_certificate": ("Forged certificate", TEXT_COLOUR),
}

NO_LOGINS: Final = "Not measured: no service records logins. record_auth_attempt() counts them."
NO_SECOND_FACTORS: Final = "Not measured: no service records second factors. record_mfa_challenge() counts them."
NO_DETECTION: Final = "Not measured: no service records requests, logins, second factors or incidents."
NO_REFUSALS: Final = "Not measured: no rate limit has ever refused a request, or none is recorded."
NO_DECISIONS: Final = "Not measured: no service records access decisions or gRPC calls."
NO_FEEDS: Final = "Not measured: no reputation feed is read. TRUST_OTEL_REPUTATION_FEEDS names them."
NO_OPERATIONS: Final = (
    "Not measured: no service records privileged operations. Does it wrap them in privileged_operation()?"
)
NO_CHECKS: Final = "Not measured: no service records compliance checks. record_compliance_check() counts them."
NOTHING: Final = "Not measured: no service records anything about security, or no rules are evaluated."


def counted(query: str, *others: str) -> str:
    """Events as whole numbers, which increase() does not give; the first of the queries that has an answer."""
    return " or ".join((f"round({query})", *others))


def failing(over: str, *by: str) -> str:
    """Failures of each address of those that failed often; without those for which there was no room."""
    return total(increase(TRUST_SECURITY_AUTH_FAILURES, 'client_address!="_other"', over=over), *by)


def no_row(label: str, value: str, zero: str) -> str:
    """What follows `or`: a row or line of this name as long as `zero` is there and nothing happened."""
    return f"on () {named(zero, label, value)}"


def known(metric: Metric, *by: str) -> str:
    """0 for each value of the labels that the metric has been recorded with."""
    return measured(metric, by=by)


def unrecorded(*by: str) -> str:
    """Operations that have left no record in the audit log for five minutes."""
    missing = recorded("service_instance:trust_audit_unrecorded_operations:count", 'service_instance_id=~"$instance"')
    return total(f"clamp_min(min_over_time({missing}[5m]), 0)", *by)
