"""Signing of documents, and verification of signatures."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Literal, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from trust_otel import get_metrics

from .authority import PROFILES, Authority, RevocationUnknownError, common_name, new_key, pem
from .validation import SignatureProblem, find_problem, result_of

metrics = get_metrics()

Algorithm = Literal["sha256", "sha384", "sha1"]

# ETSI TS 119 312 no longer includes SHA-1.
_ALLOWED: dict[str, hashes.HashAlgorithm] = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384()}


class KeyUnavailableError(RuntimeError):
    """The key's module has no free session."""


class HsmUnavailableError(RuntimeError):
    """The HSM did not sign; the message is the name of its error."""


class SigningKey(Protocol):
    """What signs: a key in software or in an HSM."""

    def public_key(self) -> ec.EllipticCurvePublicKey: ...

    def sign(self, data: bytes, signature_algorithm: ec.ECDSA) -> bytes:
        """The signature in DER.

        Raises:
            HsmUnavailableError: The HSM did not sign.
        """
        ...


_PROFILE = PROFILES["document_signer"]
_VALIDITY = timedelta(days=365)
_SESSIONS = 2

KEY_LABEL = "document-signer"
"""Label of the key in an HSM."""


class Signer:
    """Signs documents with its own key and certificate.

    Args:
        authority: Issues its certificate.
        key: A key in an HSM; None for a new key in software.
    """

    certificate: x509.Certificate
    pem: str

    def __init__(self, authority: Authority, key: SigningKey | None = None) -> None:
        self.usable = True
        self._authority = authority
        self._key: SigningKey = new_key(_PROFILE) if key is None else key
        # The number of sessions of a hardware module.
        self._threads = ThreadPoolExecutor(_SESSIONS, thread_name_prefix="signing")
        self.certify()

    def certify(self, validity: timedelta = _VALIDITY) -> None:
        """Issue or renew the certificate of the key."""
        self.certificate = self._authority.issue(
            common_name("Trust Service Demo Signer"), self._key.public_key(), "document_signer", validity
        )
        self.pem = pem(self.certificate)

    async def sign(self, content: bytes, algorithm: Algorithm) -> bytes | None:
        """The signature; None if the signature policy forbids the algorithm."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._sign, content, algorithm)

    def close(self) -> None:
        self._threads.shutdown()

    def _sign(self, content: bytes, algorithm: Algorithm) -> bytes | None:
        with metrics.certificate_operation("signing", certificate_type="document_signer", profile=_PROFILE) as op:
            allowed = _ALLOWED.get(algorithm)
            metrics.record_compliance_check(framework="eidas", control="signature_policy", passed=allowed is not None)
            if allowed is None:
                op.fail("signature_policy")
                return None
            if not self.usable:
                raise KeyUnavailableError
            return self._key.sign(content, ec.ECDSA(allowed))

    def verify(
        self, content: bytes, signature: bytes, certificate: str, algorithm: Algorithm
    ) -> SignatureProblem | None:
        """The problem of a signature or of its certificate, if any."""
        with metrics.certificate_operation("validation", certificate_type="document_signer", profile=_PROFILE) as op:
            try:
                problem = find_problem(self._authority, certificate, "document_signer") or _problem_of_signature(
                    content, signature, certificate, algorithm
                )
            except RevocationUnknownError:
                metrics.record_validation_result("INDETERMINATE", sub_indication="TRY_LATER")
                raise
            if problem is not None:
                op.fail(problem)
            indication, sub_indication = result_of(problem)
            metrics.record_validation_result(indication, sub_indication=sub_indication)
            return problem


def _problem_of_signature(
    content: bytes, signature: bytes, certificate: str, algorithm: Algorithm
) -> Literal["bad_signature", "weak_algorithm"] | None:
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    allowed = _ALLOWED.get(algorithm)
    if allowed is None:
        return "weak_algorithm"
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return "bad_signature"
    try:
        key.verify(signature, content, ec.ECDSA(allowed))
    except InvalidSignature:
        return "bad_signature"
    return None
