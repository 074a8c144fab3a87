"""Validation of certificates."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from trust_otel import get_metrics

from .authority import PURPOSES, Authority, CertificateType

metrics = get_metrics()

Problem = Literal["malformed", "untrusted", "forged", "expired", "revoked", "wrong_type"]


def validate(authority: Authority, certificate: str, certificate_type: CertificateType) -> Problem | None:
    """Validate a certificate (PEM) for the purpose of its type."""
    with metrics.certificate_operation("validation", certificate_type=certificate_type) as op:
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
    return "revoked" if authority.is_revoked(leaf.serial_number) else None


def _problem_of_purpose(leaf: x509.Certificate, certificate_type: CertificateType) -> Problem | None:
    try:
        purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return "wrong_type"
    return None if PURPOSES[certificate_type] in purposes else "wrong_type"
