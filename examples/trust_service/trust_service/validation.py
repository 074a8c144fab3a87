"""Validation of certificates."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from trust_otel import get_metrics

from .authority import PROFILES, PURPOSES, Authority, CertificateType

metrics = get_metrics()

Problem = Literal["malformed", "untrusted", "forged", "expired", "revoked", "suspended", "wrong_type"]


SignatureProblem = Problem | Literal["bad_signature", "weak_algorithm"]
Indication = Literal["TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE"]

_RESULTS: dict[SignatureProblem, tuple[Indication, str]] = {
    "malformed": ("TOTAL-FAILED", "FORMAT_FAILURE"),
    "bad_signature": ("TOTAL-FAILED", "SIG_CRYPTO_FAILURE"),
    "untrusted": ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND"),
    "forged": ("INDETERMINATE", "CERTIFICATE_CHAIN_GENERAL_FAILURE"),
    # Without a timestamp, nothing proves that the signature is older.
    "expired": ("INDETERMINATE", "OUT_OF_BOUNDS_NO_POE"),
    "revoked": ("INDETERMINATE", "REVOKED_NO_POE"),
    "suspended": ("INDETERMINATE", "TRY_LATER"),
    "wrong_type": ("INDETERMINATE", "CHAIN_CONSTRAINTS_FAILURE"),
    "weak_algorithm": ("INDETERMINATE", "CRYPTO_CONSTRAINTS_FAILURE"),
}


def result_of(problem: SignatureProblem | None) -> tuple[Indication, str | None]:
    """Indication and sub-indication of the validation of a signature (ETSI EN 319 102-1, 5.1.3)."""
    return ("TOTAL-PASSED", None) if problem is None else _RESULTS[problem]


def validate(authority: Authority, certificate: str, certificate_type: CertificateType) -> Problem | None:
    """Validate a certificate (PEM) for the purpose of its type."""
    profile = PROFILES[certificate_type]
    with metrics.certificate_operation("validation", certificate_type=certificate_type, profile=profile) as op:
        problem = find_problem(authority, certificate, certificate_type)
        if problem is not None:
            op.fail(problem)
    if problem == "forged":
        metrics.record_security_incident("forged_certificate", severity="critical")
    return problem


def find_problem(authority: Authority, certificate: str, certificate_type: CertificateType) -> Problem | None:
    try:
        leaf = x509.load_pem_x509_certificate(certificate.encode())
        return (
            _problem_of_chain([leaf, authority.issuing, authority.root])
            or _problem_of_status(authority, leaf)
            or _problem_of_purpose(leaf, certificate_type)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension):
        # Also raised after loading, because names and extensions are parsed lazily.
        return "malformed"


def _problem_of_chain(chain: list[x509.Certificate]) -> Problem | None:
    now = datetime.now(timezone.utc)
    for certificate, issuer in zip(chain, chain[1:] + chain[-1:], strict=True):
        if certificate.issuer != issuer.subject:
            return "untrusted"
        try:
            certificate.verify_directly_issued_by(issuer)
        except (InvalidSignature, TypeError, ValueError):
            return "forged"
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            return "expired"
    return None


def _problem_of_status(authority: Authority, leaf: x509.Certificate) -> Problem | None:
    return authority.revocation_of(leaf.serial_number)


def _problem_of_purpose(leaf: x509.Certificate, certificate_type: CertificateType) -> Problem | None:
    try:
        purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return "wrong_type"
    return None if PURPOSES[certificate_type] in purposes else "wrong_type"
