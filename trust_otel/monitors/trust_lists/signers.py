"""Those who may sign a list of trust anchors."""

from __future__ import annotations

from datetime import datetime, timezone

from cryptography import x509

from trust_otel.monitors.certificates.content import UnreadableError
from trust_otel.monitors.certificates.files import os_reason, read_file
from trust_otel.monitors.certificates.revocation import issued
from trust_otel.monitors.trust_lists.content import InvalidSignatureError


class Signers:
    """The certificates that a file of TRUST_OTEL_TRUST_LIST_SIGNERS names.

    Args:
        certificates: Certificates of signers, or of the CAs that issue theirs.
    """

    def __init__(self, certificates: list[x509.Certificate]) -> None:
        self.certificates = certificates

    def check(self, signer: x509.Certificate, purpose: x509.ObjectIdentifier | None = None) -> None:
        """Check that a certificate is valid now, and one of these or issued by one of these.

        Args:
            signer: The certificate that the list contains.
            purpose: Extended key usage of a certificate that is not one of these itself, because its CA also issues
                others.

        Raises:
            InvalidSignatureError: It is not.
        """
        if not _valid_now(signer):
            raise InvalidSignatureError("the certificate of the signer is expired or not yet valid")
        if signer in self.certificates:
            return
        issuers = [each for each in self.certificates if _may_issue(each) and _valid_now(each)]
        if not any(issued(issuer, signer) for issuer in issuers):
            raise InvalidSignatureError("the signer is not one of TRUST_OTEL_TRUST_LIST_SIGNERS")
        if purpose is not None and purpose not in _purposes(signer):
            raise InvalidSignatureError("the certificate of the signer is not for signing such lists")


def read_signers(path: str) -> Signers:
    """The certificates of a file, in PEM or DER.

    Raises:
        UnreadableError: The file cannot be read, or contains no certificate.
    """
    try:
        data = read_file(path)
        if b"-----BEGIN" in data:
            return Signers(x509.load_pem_x509_certificates(data))
        return Signers([x509.load_der_x509_certificate(data)])
    except OSError as error:
        raise UnreadableError(f"TRUST_OTEL_TRUST_LIST_SIGNERS: {os_reason(error)}") from error
    except (UnreadableError, ValueError) as error:
        raise UnreadableError(
            "TRUST_OTEL_TRUST_LIST_SIGNERS: the file contains no certificates in PEM or DER"
        ) from error


def _valid_now(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_before_utc <= datetime.now(timezone.utc) <= certificate.not_valid_after_utc


def _may_issue(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except Exception:  # missing or malformed
        return False


def _purposes(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    try:
        return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except Exception:  # missing or malformed
        return set()
