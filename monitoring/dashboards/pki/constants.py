"""Panel ids, alert thresholds and texts of the PKI dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitoring.alerts import threshold
from monitoring.dashboards.panels import TEXT_COLOUR, ValueTexts
from monitoring.dashboards.thresholds import GREEN, UNMEASURED, YELLOW, Levels

# The ids from 30 are those of keys and HSM (30), trust anchors (40), and tenants (60).
STATUS, CERTIFICATES, WAITING, REVOCATION_LISTS, RESPONDERS, CLOCKS, TIMESTAMPS, ROLLOVER, VALIDATION = range(1, 10)
INVENTORY, ISSUANCE, OCSP_RESPONSES, OCSP_LATENCY, PENDING, REASONS, SUB_INDICATIONS, ACCURACY, OFFSETS = range(10, 19)
REVOCATION_LATENCY, RESULTS, TIMESTAMP_RATE, DEADLINES = range(19, 23)

BY_SERVICE: Final = ("service_name",)
SERVICE_KEY: Final[Mapping[str, str]] = {"service_name": "Service"}
SERVICE_WIDTH: Final[Mapping[str, int]] = {"Service": 150}
MISSING: Final = ("Not measured", UNMEASURED)
"""For cells that an auditor must not read as good."""

EXPIRY_LIMIT: Final = threshold("TrustCertificateExpiring", "critical")
DECISION_LIMITS: Final = {
    severity: threshold("TrustRevocationDecisionOverdue", severity) for severity in ("critical", "warning")
}
PUBLICATION_LIMITS: Final = {
    severity: threshold("TrustRevocationPublicationOverdue", severity) for severity in ("critical", "warning")
}
LIST_LIMIT: Final = threshold("TrustRevocationListNotPublished")
RESPONSE_AGE_LIMIT: Final = threshold("TrustOcspResponseStale")
CLOCK_LIMITS: Final = {severity: threshold("TrustClockOffset", severity) for severity in ("critical", "warning")}
INDETERMINATE_LIMIT: Final = threshold("TrustValidationIndeterminate")

RENEWAL_LEVELS: Final = Levels(YELLOW, ((0, GREEN),))
"""For the time that is left until something is due; what is overdue raises a warning."""


def warning_from(value: float) -> Levels:
    """For what raises a warning only."""
    return Levels(GREEN, ((value, YELLOW),))


UNKNOWN: Final = "unknown"
"""Instead of a missing label, which Grafana shows as the text for missing data."""


def or_unknown(query: str, *labels: str) -> str:
    """The query with a value for each label that a series lacks."""
    for label in labels:
        query = f'label_replace({query}, "{label}", "{UNKNOWN}", "{label}", "")'
    return query


def _texts(texts: Mapping[str, str]) -> ValueTexts:
    return {value: (text, TEXT_COLOUR) for value, text in texts.items()}


CA_KINDS: Final = _texts({"root": "root", "issuing_ca": "issuing CA", "csca": "CSCA"})
KINDS: Final[ValueTexts] = {
    **CA_KINDS,
    **_texts(
        {"signer": "signer", "tls": "TLS", "ocsp_responder": "OCSP responder", "tsa": "TSA", UNKNOWN: "unknown kind"}
    ),
}
POSITIONS: Final = _texts({"root": "root", "intermediate": "intermediate", "end_entity": "end entity"})
STEPS: Final = _texts(
    {"decision": "decision (24 h)", "crl": "in the CRL (60 min)", "ocsp": "in OCSP (60 min)"},
)
REASONS_SHOWN: Final = _texts(
    {"certificateHold": "suspension", "removeFromCRL": "end of suspension", UNKNOWN: "no reason given"}
)
