"""Asks a responder whether certificates are revoked (OCSP, RFC 6960)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from time import monotonic
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
_SECONDS_PER_LOOK: Final = 10.0
_STATUS: Final = {
    ocsp.OCSPCertStatus.GOOD: "good",
    ocsp.OCSPCertStatus.REVOKED: "revoked",
    ocsp.OCSPCertStatus.UNKNOWN: "unknown",
}

Question = tuple[Certificate, Certificate]
"""A certificate and its issuer."""


@dataclass(frozen=True)
class Answer:
    """What a responder says of one certificate.

    Attributes:
        fingerprint: Of the certificate.
        status: Value of `trust.certificate.ocsp.status`.
        problem: Why there is no answer; `None` when there is one.
    """

    fingerprint: bytes
    status: str
    problem: str | None = None


class Responder:
    """An OCSP responder.

    Args:
        url: Where it is, beginning with http.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._asked: dict[bytes, float] = {}

    def ask(self, questions: Iterable[Question]) -> list[Answer]:
        """An answer to each question; of many, those that ten seconds suffice for, and the others the next time."""
        waiting = sorted(questions, key=lambda question: self._asked.get(question[0].fingerprint, 0.0))
        known = {certificate.fingerprint for certificate, _ in waiting}
        self._asked = {fingerprint: at for fingerprint, at in self._asked.items() if fingerprint in known}
        deadline = monotonic() + _SECONDS_PER_LOOK
        answers: list[Answer] = []
        for certificate, issuer in waiting:
            if answers and monotonic() > deadline:
                break
            self._asked[certificate.fingerprint] = monotonic()
            answers.append(self._ask(certificate, issuer))
        return answers

    def _ask(self, certificate: Certificate, issuer: Certificate) -> Answer:
        try:
            status = self._status(certificate, issuer)
        except UnreadableError as error:
            return Answer(certificate.fingerprint, "error", str(error))
        except Exception:
            return Answer(certificate.fingerprint, "error", "the answer is no OCSP response, or of an unknown kind")
        return Answer(certificate.fingerprint, status)

    def _status(self, certificate: Certificate, issuer: Certificate) -> str:
        # RFC 5019 (2.1.1) wants SHA-1 to name the issuer, and many responders know nothing else.
        builder = ocsp.OCSPRequestBuilder().add_certificate(certificate.x509, issuer.x509, SHA1())  # noqa: S303
        request = builder.build()
        body, _ = fetch(self._url, request.public_bytes(Encoding.DER), {"Content-Type": "application/ocsp-request"})
        return judge(request, ocsp.load_der_ocsp_response(body), issuer.x509, datetime.now(timezone.utc))


def judge(request: ocsp.OCSPRequest, response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> str:
    """What a response says, after everything that RFC 6960 (3.2) asks a client to check.

    Raises:
        UnreadableError: It cannot be believed.
    """
    if response.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED:
        # How a responder says that it has no record of a certificate (RFC 5019, 2.2.3).
        return "unknown"
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise UnreadableError(f"answers with the OCSP status {response.response_status.name.lower()}")
    if not _is_signed(response, issuer, now):
        raise UnreadableError("the answer is signed by nobody whom the issuer authorized")
    for single in response.responses:
        if _is_about(single, request):
            if single.this_update_utc > now + _SKEW:
                raise UnreadableError("the answer is from the future: compare the clocks")
            if single.next_update_utc is not None and single.next_update_utc < now - _SKEW:
                raise UnreadableError("the answer is out of date")
            return _STATUS[single.certificate_status]
    raise UnreadableError("the answer is about another certificate")


def _is_about(single: ocsp.OCSPSingleResponse, request: ocsp.OCSPRequest) -> bool:
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
    """Whether the issuer lets a certificate sign answers in its place (RFC 6960, 4.2.2.2)."""
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except Exception:
        return False
    return (
        ExtendedKeyUsageOID.OCSP_SIGNING in purposes
        and certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
        and issued(issuer, certificate)
    )
