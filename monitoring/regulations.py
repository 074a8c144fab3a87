"""What regulations and standards ask of a trust service, and where it is seen: `python -m monitoring.regulations`.

Writes docs/regulations.md. A clause is cited only as far as its number was found in a public source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Final

from trust_otel.semconv.definitions import Metric
from trust_otel.semconv.metrics import (
    TRUST_AUDIT_EVENTS,
    TRUST_AUDIT_OPERATIONS,
    TRUST_AUTH_ATTEMPTS,
    TRUST_AUTH_MFA_CHALLENGES,
    TRUST_AUTHZ_DECISIONS,
    TRUST_CERTIFICATE_CRL_NEXT_UPDATE,
    TRUST_CERTIFICATE_NOT_AFTER,
    TRUST_CERTIFICATE_OCSP_RESPONSES,
    TRUST_CERTIFICATE_OPERATION_DURATION,
    TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION,
    TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION,
    TRUST_CLOCK_OFFSET,
    TRUST_COMPLIANCE_CHECKS,
    TRUST_CT_UNKNOWN_CERTIFICATES,
    TRUST_DEPENDENCY_UP,
    TRUST_KEY_APPROVALS,
    TRUST_KEY_USES,
    TRUST_OTEL_INSTANCE_UP,
    TRUST_PKCS11_OPERATION_DURATION,
    TRUST_SECURITY_INCIDENTS,
    TRUST_SECURITY_THREAT_MATCHES,
    TRUST_SLA_EVENTS,
    TRUST_TIMESTAMP_ACCURACY,
    TRUST_TRUST_LIST_SIGNATURE,
    TRUST_VALIDATION_RESULTS,
)

PAGE: Final = Path(__file__).parents[1] / "docs" / "regulations.md"


@dataclass(frozen=True)
class Requirement:
    """A clause, and what shows whether it is met.

    Attributes:
        source: Regulation or standard.
        clause: Number and subject of the clause.
        metric: The signal.
        evidence: What an auditor is shown.
        panels: Panels that query the metric, as dashboard and id.
        alerts: Alerts that are raised when it is not met.
    """

    source: str
    clause: str
    metric: Metric
    evidence: str
    panels: tuple[tuple[str, int], ...] = ()
    alerts: tuple[str, ...] = ()


_401 = "ETSI EN 319 401 V3.1.1 (2024-06), general policy requirements"
_411 = "ETSI EN 319 411-1 V1.5.1 and 411-2, certificates"
_421 = "ETSI EN 319 421 V1.1.1 (2016-03), time-stamps"
_102 = "ETSI EN 319 102-1, validation of signatures"
_EIDAS = "eIDAS: Regulation (EU) No 910/2014, amended by (EU) 2024/1183"
_NIS2 = "NIS2: Directive (EU) 2022/2555"
_2690 = "Implementing Regulation (EU) 2024/2690"
_ISO = "ISO/IEC 27001:2022, Annex A"
_BR = "CA/Browser Forum, TLS Baseline Requirements"

_AUDIT = (("security", 8),)
_REVOCATION = "The slowest revocation of the period, by reason: `histogram_quantile(1, ...)` of the metric"

REQUIREMENTS: Final = (
    Requirement(
        _401,
        "7.4 Access control",
        TRUST_AUTHZ_DECISIONS,
        "Panel Access denied over the period",
        (("security", 31),),
        (),
    ),
    Requirement(
        _401,
        "7.5 Cryptographic controls: keys and devices",
        TRUST_KEY_USES,
        "Uses of each key within and outside its policy over the period",
        (("pki", 34),),
        ("TrustKeyUsedOutsidePolicy",),
    ),
    Requirement(
        _401,
        "7.9.1 Monitoring and logging: abnormal activity is detected and reported as an alarm",
        TRUST_SECURITY_INCIDENTS,
        "Incidents by type over the period, and the notifications of the alert",
        (("security", 5), ("security", 26)),
        ("TrustSuspiciousActivity",),
    ),
    Requirement(
        _401,
        "7.10 Collection of evidence",
        TRUST_AUDIT_EVENTS,
        "Audit records against privileged operations: none is missing",
        _AUDIT,
        ("TrustAuditRecordsMissing",),
    ),
    Requirement(
        _401,
        "7.11 Business continuity management",
        TRUST_DEPENDENCY_UP,
        "Dependency health over the period, and the runbook's drill result",
        (("operational", 8),),
        ("TrustDependencyDown", "TrustPkiUnavailable", "TrustVaultUnavailable"),
    ),
    Requirement(
        _411,
        "411-1 6.2.4 (411-2 6.2.4): status is changed within 24 hours of a revocation request",
        TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION,
        _REVOCATION,
        panels=(("pki", 15), ("pki", 19)),
        alerts=("TrustRevocationDecisionOverdue", "TrustRevocationLate"),
    ),
    Requirement(
        _411,
        "411-1 6.3.10 Certificate status services: CRL",
        TRUST_CERTIFICATE_CRL_NEXT_UPDATE,
        "Next update of each list over the period",
        (("operational", 39), ("pki", 4)),
        ("TrustRevocationListStale", "TrustRevocationListNotPublished"),
    ),
    Requirement(
        _411,
        "411-1 6.3.10 Certificate status services: OCSP",
        TRUST_CERTIFICATE_OCSP_RESPONSES,
        "Responses by responder and status over the period: `sum by (trust_certificate_ocsp_status) (increase(...))`",
        panels=(("pki", 12),),
        alerts=("TrustOcspResponseStale",),
    ),
    Requirement(
        _411,
        "411-1 6.5.2 Private key protection and cryptographic module engineering controls",
        TRUST_PKCS11_OPERATION_DURATION,
        "Operations of the HSM and their errors over the period",
        (("pki", 30), ("pki", 31), ("pki", 32)),
        ("TrustHsmErrors", "TrustHsmSlow"),
    ),
    Requirement(
        _411,
        "411-1 6.5.2 Private key protection: keys under the control of several people",
        TRUST_KEY_APPROVALS,
        "Granted, denied and expired approvals of each key over the period",
        (("pki", 35),),
    ),
    Requirement(
        _421,
        "7.7.1 b) Accuracy of the time in a time-stamp, 1 second or better",
        TRUST_TIMESTAMP_ACCURACY,
        "Share of time-stamps with an accuracy of at most 1 s, from the buckets of the metric",
        panels=(("pki", 17),),
        alerts=(),
    ),
    Requirement(
        _421,
        "7.7.2 c) Drift or jump out of synchronisation with UTC is detected",
        TRUST_CLOCK_OFFSET,
        "Largest offset in the period: `max_over_time(abs(trust_clock_offset_seconds)[30d:1m])`",
        panels=(("pki", 6), ("pki", 18)),
        alerts=("TrustClockOffset",),
    ),
    Requirement(
        _102,
        "Status indications TOTAL-PASSED, TOTAL-FAILED and INDETERMINATE, with sub-indications",
        TRUST_VALIDATION_RESULTS,
        "Results by indication and sub-indication over the period",
        panels=(("pki", 16), ("pki", 20)),
        alerts=("TrustValidationIndeterminate",),
    ),
    Requirement(
        _EIDAS,
        "Article 20(1): audit at least every 24 months",
        TRUST_COMPLIANCE_CHECKS,
        "Checks of each control and their last failure",
        (("security", 10), ("security", 33)),
        ("TrustComplianceFailure",),
    ),
    Requirement(
        _EIDAS,
        "Article 22 Trusted lists: published in a form that is signed or sealed",
        TRUST_TRUST_LIST_SIGNATURE,
        "Signature and next update of each list that the service relies on",
        (("pki", 40),),
        ("TrustListSignatureInvalid",),
    ),
    Requirement(
        _EIDAS,
        "Article 24(2): notification of a breach or disruption within 24 hours",
        TRUST_SECURITY_INCIDENTS,
        "Incidents with the times of detection and acknowledgement (docs/incidents.md)",
        (("security", 21),),
        ("TrustSuspiciousActivity",),
    ),
    Requirement(
        _EIDAS,
        "Article 24(3): revocation is published within 24 hours",
        TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION,
        _REVOCATION,
        panels=(("pki", 22), ("pki", 19)),
        alerts=("TrustRevocationPublicationOverdue", "TrustRevocationLate"),
    ),
    Requirement(
        _EIDAS,
        "Article 42(1): a time source linked to Coordinated Universal Time",
        TRUST_CLOCK_OFFSET,
        "Offset of each time server over the period",
        panels=(("pki", 6), ("pki", 18)),
        alerts=("TrustClockOffset",),
    ),
    Requirement(
        _NIS2,
        "Article 21(2)(b) Incident handling",
        TRUST_SECURITY_INCIDENTS,
        "Incidents over time, and their acknowledgements (docs/incidents.md)",
        (("security", 26),),
        ("TrustSuspiciousActivity",),
    ),
    Requirement(
        _NIS2,
        "Article 21(2)(h) Cryptography and encryption",
        TRUST_CERTIFICATE_NOT_AFTER,
        "Certificates of the service by time to expiry",
        (("operational", 37), ("pki", 2), ("pki", 8)),
        ("TrustCertificateExpiring", "TrustCertificateRenewalDue", "TrustCaRolloverDue"),
    ),
    Requirement(
        _NIS2,
        "Article 21(2)(h) Cryptography and encryption: keys",
        TRUST_KEY_USES,
        "Uses of each key within and outside its policy over the period",
        (("pki", 34),),
        ("TrustKeyUsedOutsidePolicy",),
    ),
    Requirement(
        _NIS2,
        "Article 21(2)(i) Access control",
        TRUST_AUTH_ATTEMPTS,
        "Successful and failed logins over the period",
        (("security", 2), ("security", 27)),
        ("TrustAuthFailuresFromAddress", "TrustBruteForceFromAddress"),
    ),
    Requirement(
        _NIS2,
        "Article 23 Reporting obligations",
        TRUST_SECURITY_INCIDENTS,
        "Time of detection: first notification of the alert, from which the deadlines run",
        (("security", 21),),
        ("TrustSuspiciousActivity",),
    ),
    Requirement(
        _2690,
        "Article 14: a trust service is completely unavailable for more than 20 minutes",
        TRUST_OTEL_INSTANCE_UP,
        "Time at which each service was last seen, and the alert's firing time",
        (("operational", 36),),
        ("TrustServiceDown",),
    ),
    Requirement(
        _2690,
        "Annex, monitoring and logging",
        TRUST_AUDIT_OPERATIONS,
        "Privileged operations and their audit records",
        _AUDIT,
        ("TrustAuditRecordsMissing",),
    ),
    Requirement(
        _ISO,
        "5.7 Threat intelligence",
        TRUST_SECURITY_THREAT_MATCHES,
        "Clients on threat feeds over the period",
        (("security", 9),),
        (),
    ),
    Requirement(
        _ISO,
        "8.24 Use of cryptography",
        TRUST_CT_UNKNOWN_CERTIFICATES,
        "Certificates for the service's names that it did not issue",
        (("pki", 45),),
        ("TrustUnknownCertificateIssued",),
    ),
    Requirement(
        _ISO,
        "5.17 Authentication information",
        TRUST_AUTH_MFA_CHALLENGES,
        "Second factors by method and outcome",
        (("security", 7),),
        (),
    ),
    Requirement(
        _ISO,
        "5.28 Collection of evidence",
        TRUST_AUDIT_EVENTS,
        "Audit records by action over the period",
        (("security", 32),),
        ("TrustAuditRecordsMissing",),
    ),
    Requirement(
        _ISO,
        "5.30 ICT readiness for business continuity",
        TRUST_SLA_EVENTS,
        "SLA compliance over the period",
        (("business", 5),),
        ("TrustSlaViolation",),
    ),
    Requirement(
        _ISO,
        "8.15 Logging",
        TRUST_AUDIT_EVENTS,
        "Completeness of the audit log",
        _AUDIT,
        ("TrustAuditRecordsMissing",),
    ),
    Requirement(
        _BR,
        "4.9.1.1 Reasons for revoking a subscriber certificate: within 24 hours or 5 days",
        TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION,
        _REVOCATION,
        panels=(("pki", 15), ("pki", 19)),
        alerts=("TrustRevocationDecisionOverdue", "TrustRevocationLate"),
    ),
    Requirement(
        _BR,
        "4.9.7 CRL issuance frequency",
        TRUST_CERTIFICATE_CRL_NEXT_UPDATE,
        "Next update of each list over the period",
        (("operational", 39), ("pki", 4)),
        ("TrustRevocationListStale", "TrustRevocationListNotPublished"),
    ),
    Requirement(
        _BR,
        "4.9.10 On-line revocation checking requirements",
        TRUST_CERTIFICATE_OCSP_RESPONSES,
        "Responses by responder and status over the period",
        panels=(("pki", 12),),
        alerts=("TrustOcspResponseStale",),
    ),
    Requirement(
        _BR,
        "5.4 Audit logging",
        TRUST_CERTIFICATE_OPERATION_DURATION,
        "Certificate operations by kind and outcome over the period",
        (("operational", 38), ("business", 4)),
        ("TrustSigningFailures", "TrustCertificateValidationFailures"),
    ),
)
"""In the order of the page; those of one source are together."""


_INTRODUCTION = """# Regulations and standards

Generated from `monitoring/regulations.py` by `make generate`. For each clause: the signal that shows whether it is met,
the panel that shows the signal, the alert when it is not met, and what an auditor is shown. A test compares metrics,
panels and alerts with the registry, the dashboards and the rules. `-` means that the signal is recorded and can be
queried, but no panel or alert is about it.

The clauses are cited for orientation; the text of the regulation applies, and numbers differ between versions. Where a
row gives a section or an article without a point, the point is not cited. A signal is evidence that something is
watched and when it failed, not that a provider conforms.
"""


def page() -> str:
    """The text of docs/regulations.md."""
    return "\n".join(_page())


def _page() -> Iterator[str]:
    yield _INTRODUCTION
    for source, rows in groupby(REQUIREMENTS, attrgetter("source")):
        yield f"## {source}\n"
        yield "| clause | signal | panel | alert | evidence |"
        yield "|---|---|---|---|---|"
        yield from (_row(each) for each in rows)
        yield ""


def _row(row: Requirement) -> str:
    panels = ", ".join(f"[{uid} {number}](dashboards.md)" for uid, number in row.panels)
    alerts = ", ".join(f"[{name}](../monitoring/runbooks/{name}.md)" for name in row.alerts)
    return f"| {row.clause} | `{row.metric.prometheus_name}` | {panels or '-'} | {alerts or '-'} | {row.evidence} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
