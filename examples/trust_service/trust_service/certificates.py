"""Issuance and renewal of certificates."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from cryptography import x509

from trust_otel import get_metrics

from .audit import audit_refusal, audited
from .authority import PROFILES, Authority, CertificateType, pem
from .database import Database
from .tables import Certificate

metrics = get_metrics()

# CA/Browser Forum, Baseline Requirements 6.3.2.
_LONGEST_TLS_SERVER = timedelta(days=398)


async def issue(
    authority: Authority,
    database: Database,
    actor: str,
    request: str,
    certificate_type: CertificateType,
    validity: timedelta,
) -> Certificate | Literal["malformed", "certificate_lifetime"]:
    """Issue a certificate for a request (PKCS#10 in PEM)."""
    profile = PROFILES[certificate_type]
    async with metrics.certificate_operation("issuance", certificate_type=certificate_type, profile=profile) as op:
        wanted = _read(request)
        if wanted is None:
            op.fail("malformed")
            await audit_refusal(database, actor, "certificate.issue")
            return "malformed"
        if not _lifetime_allowed(certificate_type, validity):
            op.fail("certificate_lifetime")
            await audit_refusal(database, actor, "certificate.issue")
            return "certificate_lifetime"
        row = _row(
            authority.issue(wanted.subject, wanted.public_key(), certificate_type, validity),
            certificate_type,
        )
        async with audited(database, actor, "certificate.issue") as transaction:
            transaction.add(row)
        return row


async def renew(
    authority: Authority, database: Database, actor: str, old: Certificate
) -> Certificate | Literal["revoked", "suspended"]:
    profile = PROFILES[old.certificate_type]
    async with metrics.certificate_operation("renewal", certificate_type=old.certificate_type, profile=profile) as op:
        problem = status_of(old)
        if problem is not None:
            op.fail(problem)
            await audit_refusal(database, actor, "certificate.renew")
            return problem
        certificate = x509.load_pem_x509_certificate(old.pem.encode())
        row = _row(authority.renew(certificate, old.certificate_type), old.certificate_type)
        async with audited(database, actor, "certificate.renew") as transaction:
            transaction.add(row)
        return row


def status_of(certificate: Certificate) -> Literal["revoked", "suspended"] | None:
    if certificate.revoked_at is not None:
        return "revoked"
    return "suspended" if certificate.suspended_at is not None else None


async def find(database: Database, serial_number: str) -> Certificate | None:
    async with database.begin() as transaction:
        return await transaction.get(Certificate, serial_number)


def _read(request: str) -> x509.CertificateSigningRequest | None:
    """The request, if it is signed with its own key (proof of possession)."""
    try:
        wanted = x509.load_pem_x509_csr(request.encode())
        return wanted if wanted.is_signature_valid else None
    except ValueError:
        return None


def _lifetime_allowed(certificate_type: CertificateType, validity: timedelta) -> bool:
    if certificate_type != "tls_server":
        return True
    allowed = validity <= _LONGEST_TLS_SERVER
    metrics.record_compliance_check(framework="cab_forum", control="certificate_lifetime", passed=allowed)
    return allowed


def _row(certificate: x509.Certificate, certificate_type: CertificateType) -> Certificate:
    return Certificate(
        serial_number=str(certificate.serial_number),
        certificate_type=certificate_type,
        pem=pem(certificate),
        issued_at=int(certificate.not_valid_before_utc.timestamp()),
        not_after=int(certificate.not_valid_after_utc.timestamp()),
    )
