"""What sources give: certificates and revocation lists, each with what is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_PURPOSES: Final[Mapping[str, str]] = {
    "1.3.6.1.5.5.7.3.1": "tls_server",
    "1.3.6.1.5.5.7.3.2": "tls_client",
    "1.3.6.1.5.5.7.3.3": "code_signing",
    "1.3.6.1.5.5.7.3.4": "email_protection",
    "1.3.6.1.5.5.7.3.8": "time_stamping",
    "1.3.6.1.5.5.7.3.9": "ocsp_signing",
    "1.3.6.1.5.5.7.3.36": "document_signing",  # RFC 9336
}
_OF_BOTH_SIDES: Final = {"tls_server", "tls_client"}


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


def certificate_type(certificate: x509.Certificate) -> str | None:
    """The kind that basic constraints (RFC 5280, 4.2.1.9) or the extended key usage (4.2.1.12) make certain."""
    try:
        values = {type(extension.value): extension.value for extension in certificate.extensions}
    except Exception:
        # An extension that cannot be read, or two of a kind; the end of validity is known nevertheless.
        return None
    constraints = values.get(x509.BasicConstraints)
    if isinstance(constraints, x509.BasicConstraints) and constraints.ca:
        return "ca"
    usage = values.get(x509.ExtendedKeyUsage)
    if not isinstance(usage, x509.ExtendedKeyUsage):
        return None
    purposes = {_PURPOSES.get(purpose.dotted_string) for purpose in usage}
    # Authorities give servers both purposes, and clients the one.
    if purposes == _OF_BOTH_SIDES:
        return "tls_server"
    return purposes.pop() if len(purposes) == 1 else None
