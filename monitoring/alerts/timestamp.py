"""Timestamps (RFC 3161), and the clock that they are made with."""

from __future__ import annotations

from monitoring.alerts.declaration import Alert, Group, Panel, Severity, Threshold, seconds
from monitoring.alerts.events import events
from trust_otel.semconv.metrics import TRUST_CERTIFICATE_OPERATION_DURATION, TRUST_TIMESTAMP_RESPONSES


def _clock_offset(severity: Severity, threshold: Threshold, reason: str) -> Alert:
    return Alert(
        name="TrustClockOffset",
        reason=reason,
        expression="""
            max by (deployment_environment_name, service_namespace, service_name, service_instance_id, trust_clock_server) (
              abs(trust_clock_offset_seconds) - trust_clock_round_trip_seconds / 2
            ) > $threshold
        """,
        threshold=threshold,
        wait="2m",
        keep_firing="2m",
        severity=severity,
        team="platform",
        category="clock",
        panel=Panel("pki", 6),
        summary="The clock of an instance of {{ $labels.service_name }} is off.",
        description="""
            The clock of instance {{ $labels.service_instance_id }} of {{ $labels.service_name }} differs from the time server {{ $labels.trust_clock_server }}
            by at least {{ $value | humanizeDuration }} (threshold $threshold): its timestamps are not accurate.
        """,
    )


CLOCK_OFFSET = (
    _clock_offset(
        "critical",
        seconds(1),
        """
        ETSI EN 319 421: the clock of a timestamping authority is accurate to 1 s, and it issues no timestamps while it is
        not. Half of the round trip is the error of the measurement, so that a slow network is no offset. 2 minutes
        are two measurements.
        """,
    ),
    _clock_offset("warning", seconds(0.5), "Half of what ETSI EN 319 421 allows: time to repair the synchronisation."),
)

TIMESTAMP_FAILURES = Alert(
    name="TrustTimestampFailures",
    reason="""
        Fires at the first one, because an authority that cannot issue timestamps is never normal. What the authority refuses
        because of the request (`badAlg`, `unacceptedPolicy` and others) does not count.
    """,
    expression=events(
        TRUST_TIMESTAMP_RESPONSES,
        "5m",
        ("trust_timestamp_failure",),
        'trust_timestamp_failure=~"timeNotAvailable|systemFailure"',
    )
    + " > 0\nor\n"
    + events(
        TRUST_CERTIFICATE_OPERATION_DURATION,
        "5m",
        matchers='trust_certificate_operation="timestamp", trust_outcome="error"',
    )
    + " > 0",
    keep_firing="5m",
    severity="critical",
    team="platform",
    category="certificate",
    panel=Panel("pki", 7),
    summary="{{ $labels.service_name }} cannot issue timestamps.",
    description="""
        {{ $value | printf "%.0f" }} requests for a timestamp at {{ $labels.service_name }} failed within 5 minutes ({{ or $labels.trust_timestamp_failure "error" }}).
    """,
)

GROUP = Group(
    "trust-service.timestamp",
    (
        *CLOCK_OFFSET,
        TIMESTAMP_FAILURES,
    ),
)
