"""OCSP client: asks a responder whether certificates are revoked (RFC 6960)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from time import monotonic, perf_counter
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from trust_otel.monitors.certificates.content import Certificate, UnreadableError
from trust_otel.monitors.certificates.fetch import fetch
from trust_otel.monitors.certificates.revocation import issued, signature_is_valid

_SKEW: Final = timedelta(minutes=5)
_SECONDS_PER_POLL: Final = 10.0
_STATUS: Final = {
    ocsp.OCSPCertStatus.GOOD: "good",
    ocsp.OCSPCertStatus.REVOKED: "revoked",
    ocsp.OCSPCertStatus.UNKNOWN: "unknown",
}

CertificateWithIssuer = tuple[Certificate, Certificate]
"""A certificate and its issuer."""


@dataclass(frozen=True)
class CertificateStatus:
    """The status of a certificate in a verified response.

    Attributes:
        status: Value of `trust.certificate.ocsp.status`.
        this_update: `thisUpdate` of the response, as Unix time in seconds; `None` if it has no record.
        next_update: `nextUpdate`, in the same way; `None` if it is missing.
    """

    status: str
    this_update: float | None = None
    next_update: float | None = None


@dataclass(frozen=True)
class OcspResult:
    """The status of a certificate at a responder.

    Attributes:
        fingerprint: Fingerprint of the certificate.
        seconds: Time until the response was received and verified.
        certificate: What the response says; with the status `error` if it is not valid.
        problem: Why there is no valid response; `None` if there is one.
    """

    fingerprint: bytes
    seconds: float
    certificate: CertificateStatus
    problem: str | None = None

    @property
    def status(self) -> str:
        """Value of `trust.certificate.ocsp.status`."""
        return self.certificate.status


class Responder:
    """An OCSP responder.

    Args:
        url: Its HTTP or HTTPS URL.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._checked_at: dict[bytes, float] = {}

    def check(self, certificates: Iterable[CertificateWithIssuer]) -> list[OcspResult]:
        """The status of each certificate. After 10 seconds, the remaining ones are left for the next call."""
        waiting = sorted(certificates, key=lambda pair: self._checked_at.get(pair[0].fingerprint, 0.0))
        known = {certificate.fingerprint for certificate, _ in waiting}
        self._checked_at = {fingerprint: at for fingerprint, at in self._checked_at.items() if fingerprint in known}
        deadline = monotonic() + _SECONDS_PER_POLL
        results: list[OcspResult] = []
        for certificate, issuer in waiting:
            if results and monotonic() > deadline:
                break
            self._checked_at[certificate.fingerprint] = monotonic()
            results.append(self._check(certificate, issuer))
        return results

    def _check(self, certificate: Certificate, issuer: Certificate) -> OcspResult:
        begin, problem = perf_counter(), None
        try:
            status = self._status(certificate, issuer)
        except UnreadableError as error:
            status, problem = CertificateStatus("error"), str(error)
        except Exception:
            status, problem = CertificateStatus("error"), "the response is not a valid OCSP response"
        return OcspResult(certificate.fingerprint, perf_counter() - begin, status, problem)

    def _status(self, certificate: Certificate, issuer: Certificate) -> CertificateStatus:
        # RFC 5019, section 2.1.1 requires SHA-1 for the issuer, and many responders support nothing else.
        builder = ocsp.OCSPRequestBuilder().add_certificate(certificate.x509, issuer.x509, SHA1())  # noqa: S303
        request = builder.build()
        body, _ = fetch(self._url, request.public_bytes(Encoding.DER), {"Content-Type": "application/ocsp-request"})
        return certificate_status(request, ocsp.load_der_ocsp_response(body), issuer.x509, datetime.now(timezone.utc))


def certificate_status(
    request: ocsp.OCSPRequest, response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime
) -> CertificateStatus:
    """The status in a response, after the checks that RFC 6960, section 3.2 requires.

    Raises:
        UnreadableError: The response is invalid or not trusted.
    """
    if response.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED:
        # The responder has no record of the certificate (RFC 5019, section 2.2.3).
        return CertificateStatus("unknown")
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise UnreadableError(f"the responder returned the OCSP status {response.response_status.name.lower()}")
    if not _is_signed(response, issuer, now):
        raise UnreadableError("the OCSP response is not signed by the issuer or an authorized responder")
    for single in response.responses:
        if _matches(single, request):
            if single.this_update_utc > now + _SKEW:
                raise UnreadableError("the OCSP response is dated in the future: check the clocks")
            if single.next_update_utc is not None and single.next_update_utc < now - _SKEW:
                raise UnreadableError("the OCSP response is out of date")
            next_update = single.next_update_utc
            return CertificateStatus(
                _STATUS[single.certificate_status],
                single.this_update_utc.timestamp(),
                None if next_update is None else next_update.timestamp(),
            )
    raise UnreadableError("the OCSP response is for another certificate")


def _matches(single: ocsp.OCSPSingleResponse, request: ocsp.OCSPRequest) -> bool:
    return (
        single.serial_number == request.serial_number
        and single.hash_algorithm.name == request.hash_algorithm.name
        and single.issuer_name_hash == request.issuer_name_hash
        and single.issuer_key_hash == request.issuer_key_hash
    )


def _is_signed(response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> bool:
    delegated = (certificate for certificate in response.certificates if _is_delegated(certificate, issuer, now))
    return any(
        signature_is_valid(
            signer.public_key(), response.signature, response.tbs_response_bytes, response.signature_hash_algorithm
        )
        for signer in (issuer, *delegated)
    )


def _is_delegated(certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> bool:
    """Whether the issuer authorized a certificate to sign OCSP responses (RFC 6960, section 4.2.2.2)."""
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except Exception:
        return False
    return (
        ExtendedKeyUsageOID.OCSP_SIGNING in purposes
        and certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
        and issued(issuer, certificate)
    )
