"""Events of the registry. Generated from registry/*.yaml by `make generate`; edit the registry, not this file."""

from collections.abc import Mapping
from typing import Final

from trust_otel.semconv import attributes
from trust_otel.semconv.definitions import Event

TRUST_AUDIT_RECORD: Final = Event(
    name="trust.audit.record",
    kind="audit",
    brief="A record was written to the audit log.",
    attributes=(attributes.TRUST_AUDIT_ACTION, attributes.TRUST_OUTCOME, ),
    required=frozenset(("trust.audit.action", "trust.outcome", )),
)
TRUST_AUTH_FAILURE: Final = Event(
    name="trust.auth.failure",
    kind="security",
    brief="An attempt to authenticate failed.",
    attributes=(attributes.TRUST_AUTH_METHOD, attributes.TRUST_OUTCOME, attributes.GEO_COUNTRY_ISO_CODE, attributes.CLIENT_ADDRESS, ),
    required=frozenset(("trust.auth.method", "trust.outcome", )),
)
TRUST_AUTH_MFA_FAILURE: Final = Event(
    name="trust.auth.mfa.failure",
    kind="security",
    brief="A challenge for a second factor failed.",
    attributes=(attributes.TRUST_AUTH_MFA_METHOD, attributes.TRUST_OUTCOME, attributes.CLIENT_ADDRESS, ),
    required=frozenset(("trust.auth.mfa.method", "trust.outcome", )),
)
TRUST_AUTHZ_DENIAL: Final = Event(
    name="trust.authz.denial",
    kind="security",
    brief="Access was denied.",
    attributes=(attributes.TRUST_AUTHZ_DECISION, attributes.TRUST_AUTHZ_RESOURCE_TYPE, attributes.CLIENT_ADDRESS, ),
    required=frozenset(("trust.authz.decision", )),
)
TRUST_COMPLIANCE_FAILURE: Final = Event(
    name="trust.compliance.failure",
    kind="compliance",
    brief="A check of a compliance control failed.",
    attributes=(attributes.TRUST_COMPLIANCE_FRAMEWORK, attributes.TRUST_COMPLIANCE_CONTROL, attributes.TRUST_OUTCOME, ),
    required=frozenset(("trust.compliance.control", "trust.compliance.framework", "trust.outcome", )),
)
TRUST_SECURITY_INCIDENT: Final = Event(
    name="trust.security.incident",
    kind="security",
    brief="Suspicious activity was detected.",
    attributes=(attributes.TRUST_SECURITY_INCIDENT_TYPE, attributes.TRUST_SEVERITY, attributes.CLIENT_ADDRESS, ),
    required=frozenset(("trust.security.incident.type", "trust.severity", )),
)
TRUST_SECURITY_RATE_LIMITED: Final = Event(
    name="trust.security.rate_limited",
    kind="security",
    brief="A rate limit refused a request.",
    attributes=(attributes.TRUST_RATE_LIMIT_NAME, attributes.CLIENT_ADDRESS, ),
    required=frozenset(("trust.rate_limit.name", )),
)
TRUST_SECURITY_THREAT_MATCH: Final = Event(
    name="trust.security.threat_match",
    kind="security",
    brief="The client's address is on a threat feed.",
    attributes=(attributes.TRUST_THREAT_FEED, attributes.GEO_COUNTRY_ISO_CODE, attributes.CLIENT_ADDRESS, ),
    required=frozenset(("trust.threat.feed", )),
)

ALL: Final[Mapping[str, Event]] = {
    event.name: event
    for event in (
        TRUST_AUDIT_RECORD,
        TRUST_AUTH_FAILURE,
        TRUST_AUTH_MFA_FAILURE,
        TRUST_AUTHZ_DENIAL,
        TRUST_COMPLIANCE_FAILURE,
        TRUST_SECURITY_INCIDENT,
        TRUST_SECURITY_RATE_LIMITED,
        TRUST_SECURITY_THREAT_MATCH,
    )
}
