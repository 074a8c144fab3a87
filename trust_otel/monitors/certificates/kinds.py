"""Kind and chain position of a certificate, from its names and extensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography import x509

_KINDS: Final[Mapping[str, str]] = {
    "1.3.6.1.5.5.7.3.1": "tls",
    "1.3.6.1.5.5.7.3.2": "tls",
    "1.3.6.1.5.5.7.3.3": "signer",
    "1.3.6.1.5.5.7.3.4": "signer",
    "1.3.6.1.5.5.7.3.8": "tsa",
    "1.3.6.1.5.5.7.3.9": "ocsp_responder",
    "1.3.6.1.5.5.7.3.36": "signer",  # document signing, RFC 9336
    "2.23.136.1.1.1": "signer",  # ICAO security object of a travel document
    "2.23.136.1.1.3": "signer",  # ICAO master list
    "2.23.136.1.1.8": "signer",  # ICAO deviation list
}
"""Kinds by extended key usage."""

_PRIVATE_KEY_USAGE_PERIOD: Final = "2.5.29.16"
_DOCUMENT_TYPES: Final = "2.23.136.1.1.6.2"
"""The extension of ICAO's document signers."""


@dataclass(frozen=True)
class Classification:
    """What a certificate is for.

    Attributes:
        kind: Value of `trust.certificate.kind`; `None` if the extensions do not determine it.
        position: Value of `trust.certificate.chain.position`; `None` if the extensions cannot be parsed.
    """

    kind: str | None = None
    position: str | None = None


def classify(certificate: x509.Certificate) -> Classification:
    """Kind and chain position of a certificate.

    Source: RFC 5280, 4.2.1.3 (key usage), 4.2.1.9 (basic constraints), 4.2.1.12 (extended key usage); ICAO Doc 9303-12
    for the certificates of travel documents.
    """
    try:
        extensions = {extension.oid.dotted_string: extension.value for extension in certificate.extensions}
        self_signed = _is_self_signed(certificate, extensions)
        constraints = extensions.get(x509.BasicConstraints.oid.dotted_string)
    except Exception:
        # Malformed or duplicate extensions, invalid names; a certificate from outside may contain anything.
        return Classification()
    if isinstance(constraints, x509.BasicConstraints) and constraints.ca:
        is_csca = constraints.path_length == 0 and _PRIVATE_KEY_USAGE_PERIOD in extensions
        kind = "csca" if is_csca else "root" if self_signed else "issuing_ca"
        return Classification(kind, "root" if self_signed else "intermediate")
    return Classification(_kind_of_end_entity(extensions), "end_entity")


def _is_self_signed(certificate: x509.Certificate, extensions: Mapping[str, object]) -> bool:
    # Not by the signature: the key may be of a type or curve that is not supported.
    authority = extensions.get(x509.AuthorityKeyIdentifier.oid.dotted_string)
    subject = extensions.get(x509.SubjectKeyIdentifier.oid.dotted_string)
    issuer_key = authority.key_identifier if isinstance(authority, x509.AuthorityKeyIdentifier) else None
    own_key = subject.key_identifier if isinstance(subject, x509.SubjectKeyIdentifier) else None
    return certificate.subject == certificate.issuer and (issuer_key is None or issuer_key == own_key)


def _kind_of_end_entity(extensions: Mapping[str, object]) -> str | None:
    purposes = extensions.get(x509.ExtendedKeyUsage.oid.dotted_string)
    usage = extensions.get(x509.KeyUsage.oid.dotted_string)
    if isinstance(purposes, x509.ExtendedKeyUsage):
        kinds = {kind for purpose in purposes if (kind := _KINDS.get(purpose.dotted_string)) is not None}
        if len(kinds) == 1:
            return kinds.pop()
    elif _DOCUMENT_TYPES in extensions or _PRIVATE_KEY_USAGE_PERIOD in extensions:
        return "signer"
    commits = isinstance(usage, x509.KeyUsage) and usage.content_commitment
    return "signer" if commits else None
