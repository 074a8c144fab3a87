"""What several modules of this dashboard name: its panels, limits of the alerts, and parts of queries."""

from __future__ import annotations

from typing import Final

from monitoring.dashboards.limits import GREEN, YELLOW, Levels, limit
from monitoring.dashboards.panels import TEXT_COLOUR, Words
from monitoring.dashboards.queries import increase, named, recorded, series, total
from trust_otel.semconv.metrics import (
    TRUST_OTEL_INSTANCE_UP,
    TRUST_SECURITY_AUTH_FAILURES,
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

HEARD: Final = f"{total(series(TRUST_OTEL_INSTANCE_UP))} * 0"
"""0 as long as a service is heard of: a counter that was never raised has no series."""

NO_SEVERITY: Final = "none"
SEVERITIES: Final[Words] = {
    "critical": ("critical", "red"),
    # Yellow letters cannot be read on white.
    "warning": ("warning", "orange"),
    "info": ("info", "blue"),
    NO_SEVERITY: ("-", TEXT_COLOUR),
}
DETECTED: Final = ("credential_stuffing", "password_spraying", "impossible_travel", "path_scanning", "mfa_fatigue")
"""Kinds of incidents that the detectors raise; services add theirs."""
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

UNHEARD: Final = "No service has been heard of. Does it export, and does the Collector deliver?"


def counted(query: str, *others: str) -> str:
    """Events as whole numbers, which increase() does not give; the first of the queries that has an answer."""
    return " or ".join((f"round({query})", *others))


def failing(over: str, *by: str) -> str:
    """Failures of each address of those that failed often; without those for which there was no room."""
    return total(increase(TRUST_SECURITY_AUTH_FAILURES, 'client_address!="_other"', over=over), *by)


def no_row(label: str, value: str = "none yet") -> str:
    """What follows `or`, so that there is a row or line as long as nothing happened."""
    return f"on () {named(HEARD, label, value)}"


def unrecorded(*by: str) -> str:
    """Operations that have left no record in the audit log for five minutes."""
    missing = recorded("service_instance:trust_audit_unrecorded_operations:count", 'service_instance_id=~"$instance"')
    return total(f"clamp_min(min_over_time({missing}[5m]), 0)", *by)
