"""Authentication, authorisation, incidents, audit and compliance."""

from __future__ import annotations

from trust_otel.metrics.family import Family, fail_open, outcome
from trust_otel.metrics.instruments import Instruments
from trust_otel.protect.offenders import Offenders
from trust_otel.semconv.metrics import (
    TRUST_AUDIT_EVENTS,
    TRUST_AUTH_ATTEMPTS,
    TRUST_AUTH_MFA_CHALLENGES,
    TRUST_AUTHZ_DECISIONS,
    TRUST_COMPLIANCE_CHECKS,
    TRUST_SECURITY_AUTH_FAILURES,
    TRUST_SECURITY_INCIDENTS,
    TRUST_SECURITY_RATE_LIMITED,
    TRUST_SECURITY_THREAT_MATCHES,
)


class SecurityMetrics(Family):
    """What a security analyst watches."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._auth_attempts = instruments.counter(TRUST_AUTH_ATTEMPTS)
        self._mfa_challenges = instruments.counter(TRUST_AUTH_MFA_CHALLENGES)
        self._authz_decisions = instruments.counter(TRUST_AUTHZ_DECISIONS)
        self._incidents = instruments.counter(TRUST_SECURITY_INCIDENTS)
        self._rate_limited = instruments.counter(TRUST_SECURITY_RATE_LIMITED)
        self._threat_matches = instruments.counter(TRUST_SECURITY_THREAT_MATCHES)
        self._audit_events = instruments.counter(TRUST_AUDIT_EVENTS)
        self._compliance_checks = instruments.counter(TRUST_COMPLIANCE_CHECKS)
        self._offenders = Offenders(
            threshold=instruments.limits.offender_threshold, capacity=instruments.limits.offender_capacity
        )
        instruments.observe(TRUST_SECURITY_AUTH_FAILURES, self._offenders.rows)

    @fail_open
    def record_auth_attempt(
        self, *, method: str, success: bool, country: str | None = None, client_address: str | None = None
    ) -> None:
        """Count an attempt to authenticate.

        Args:
            method: How, such as `password`.
            success: Whether the caller is who it says.
            country: Two letters of ISO 3166-1.
            client_address: IPv4 or IPv6 address; it appears in a series only when it fails often.
        """
        self._auth_attempts(
            1,
            {"trust.auth.method": method, "trust.outcome": outcome(success), "geo.country.iso_code": country},
        )
        if client_address is not None and not success:
            self._count_failure(client_address)

    @fail_open
    def record_mfa_challenge(self, *, method: str, success: bool) -> None:
        """Count a challenge for a second factor, such as `totp`."""
        self._mfa_challenges(1, {"trust.auth.mfa.method": method, "trust.outcome": outcome(success)})

    @fail_open
    def record_authorization(self, *, granted: bool, resource_type: str | None = None) -> None:
        """Count a decision about access to a kind of resource."""
        decision = "grant" if granted else "deny"
        self._authz_decisions(1, {"trust.authz.decision": decision, "trust.authz.resource.type": resource_type})

    def record_security_incident(self, incident_type: str, *, severity: str) -> None:
        """Count suspicious activity, such as `credential_stuffing`; severity is `critical`, `warning` or `info`."""
        self._incidents(1, {"trust.security.incident.type": incident_type, "trust.severity": severity})

    def record_rate_limited(self, name: str) -> None:
        """Count a request that the rate limit of this name refused."""
        self._rate_limited(1, {"trust.rate_limit.name": name})

    def record_threat_match(self, feed: str) -> None:
        """Count a request from an address that the reputation feed of this name lists."""
        self._threat_matches(1, {"trust.threat.feed": feed})

    @fail_open
    def record_audit_event(self, action: str, *, success: bool = True) -> None:
        """Count a record in the audit log, such as `certificate.issue`."""
        self._audit_events(1, {"trust.audit.action": action, "trust.outcome": outcome(success)})

    @fail_open
    def record_compliance_check(self, *, framework: str, control: str, passed: bool) -> None:
        """Count a check of a control, such as `signature_policy` of `eidas`."""
        self._compliance_checks(
            1,
            {
                "trust.compliance.framework": framework,
                "trust.compliance.control": control,
                "trust.outcome": outcome(passed),
            },
        )

    def _count_failure(self, client_address: str) -> None:
        try:
            if not self._offenders.add(client_address):
                self._instruments.loss.overflow(TRUST_SECURITY_AUTH_FAILURES.name)
        except ValueError:
            self._instruments.loss.count("unknown_value")
