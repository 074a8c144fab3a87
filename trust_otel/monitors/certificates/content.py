"""What sources give: certificates and revocation lists, each with what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from trust_otel.instrumentation.certificate_types import certificate_type


class UnreadableError(Exception):
    """A source, or a part of it, cannot be read; the message says why, and what helps. No secret may be in it."""


class Certificate:
    """A certificate, with what is asked of it again and again.

    Attributes:
        not_before: Begin of its validity, as Unix time in seconds.
        not_after: End of its validity, as Unix time in seconds.
        type: Value of `trust.certificate.type`; `None` when its extensions do not make it certain.

    Raises:
        ValueError: Its dates are no dates. `cryptography` finds such faults only when it is asked.
    """

    def __init__(self, certificate: x509.Certificate) -> None:
        self.x509 = certificate
        self.not_before = certificate.not_valid_before_utc.timestamp()
        self.not_after = certificate.not_valid_after_utc.timestamp()
        self.type = certificate_type(certificate)
        self.fingerprint = certificate.fingerprint(SHA256())

    @cached_property
    def subject(self) -> bytes:
        """Subject in DER."""
        return self.x509.subject.public_bytes()

    @cached_property
    def issuer(self) -> bytes:
        """Name of its issuer in DER."""
        return self.x509.issuer.public_bytes()

    @cached_property
    def key(self) -> bytes:
        """Its public key in DER (SubjectPublicKeyInfo)."""
        return self.x509.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class RevocationList:
    """A certificate revocation list (RFC 5280, 5).

    Attributes:
        next_update: When its issuer promises the next one, as Unix time in seconds; `None` when it does not say.
    """

    def __init__(self, crl: x509.CertificateRevocationList) -> None:
        self.x509 = crl
        next_update = crl.next_update_utc
        self.next_update = None if next_update is None else next_update.timestamp()
        self.issuer = crl.issuer.public_bytes()
        self.fingerprint = crl.fingerprint(SHA256())


@dataclass(frozen=True)
class Content:
    """What stands in a file, an answer or a secret, as far as it could be read.

    Attributes:
        certificates: Each certificate once.
        lists: Revocation lists.
        problem: Why a part, or all of it, could not be read; `None` when it is whole.
    """

    certificates: tuple[Certificate, ...] = ()
    lists: tuple[RevocationList, ...] = ()
    problem: str | None = None

    @property
    def empty(self) -> bool:
        """Whether there is neither certificate nor list."""
        return not (self.certificates or self.lists)


@dataclass(frozen=True)
class Item:
    """A part of a source that comes and goes by itself: a file of a folder, a secret of a namespace.

    Attributes:
        key: What it is known by from one reading to the next; empty where there is only one.
        name: What its certificates are called.
        content: What stands in it.
    """

    key: str
    name: str
    content: Content


class Source(Protocol):
    """Where certificates are."""

    def read(self) -> list[Item]:
        """Everything that is there now.

        Raises:
            UnreadableError: It cannot be read at all.
        """
