"""Content of sources: certificates and revocation lists."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from trust_otel.instrumentation.certificate_types import certificate_type
from trust_otel.monitors.certificates.kinds import classify


class UnreadableError(Exception):
    """A source, or a part of it, cannot be read. The message names the reason and a fix, and contains no secrets."""


class Certificate:
    """A certificate with cached properties.

    Attributes:
        not_before: Start of the validity, as Unix time in seconds.
        not_after: End of the validity, as Unix time in seconds.
        type: Value of `trust.certificate.type`; `None` if its extensions are ambiguous.
        classification: Its kind and chain position.

    Raises:
        ValueError: The dates are invalid. `cryptography` validates them only on access.
    """

    def __init__(self, certificate: x509.Certificate) -> None:
        self.x509 = certificate
        self.not_before = certificate.not_valid_before_utc.timestamp()
        self.not_after = certificate.not_valid_after_utc.timestamp()
        self.type = certificate_type(certificate)
        self.classification = classify(certificate)
        self.fingerprint = certificate.fingerprint(SHA256())

    @cached_property
    def subject(self) -> bytes:
        """The subject in DER."""
        return self.x509.subject.public_bytes()

    @cached_property
    def issuer(self) -> bytes:
        """The name of the issuer in DER."""
        return self.x509.issuer.public_bytes()

    @cached_property
    def key(self) -> bytes:
        """The public key in DER (SubjectPublicKeyInfo)."""
        return self.x509.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class RevocationList:
    """A certificate revocation list (RFC 5280, 5).

    Attributes:
        next_update: `nextUpdate`, as Unix time in seconds; `None` if it is missing.
        this_update: `thisUpdate`, as Unix time in seconds.
        number: CRL number; `None` if it is missing, or the extensions cannot be parsed.
        size: Size of its DER in bytes.
    """

    def __init__(self, crl: x509.CertificateRevocationList) -> None:
        self.x509 = crl
        next_update = crl.next_update_utc
        self.next_update = None if next_update is None else next_update.timestamp()
        self.this_update = crl.last_update_utc.timestamp()
        self.number = _crl_number(crl)
        self.size = len(crl.public_bytes(Encoding.DER))
        self.issuer = crl.issuer.public_bytes()
        self.fingerprint = crl.fingerprint(SHA256())


def _crl_number(crl: x509.CertificateRevocationList) -> int | None:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except Exception:  # missing, malformed or duplicate extensions
        return None


@dataclass(frozen=True)
class Content:
    """The readable content of a file, a response or a Kubernetes secret.

    Attributes:
        certificates: Certificates without duplicates.
        crls: Revocation lists.
        problem: Why it could not be read completely; `None` if there is no problem.
        other: What is there instead of certificates and revocation lists, such as `a private key`.
    """

    certificates: tuple[Certificate, ...] = ()
    crls: tuple[RevocationList, ...] = ()
    problem: str | None = None
    other: str | None = None

    @property
    def empty(self) -> bool:
        """Whether there are neither certificates nor revocation lists."""
        return not (self.certificates or self.crls)


@dataclass(frozen=True)
class Item:
    """A part of a source that can appear and disappear: a file of a folder, a secret of a namespace.

    Attributes:
        key: Identifies the item across polls; empty if a source has only one.
        name: Name of its certificates.
        content: Its content.
    """

    key: str
    name: str
    content: Content


class Source(Protocol):
    """A source of certificates or revocation lists."""

    def read(self) -> list[Item]:
        """The current items.

        Raises:
            UnreadableError: The source cannot be read.
        """
