"""The type of a certificate, from its extensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_PURPOSES: Final[Mapping[str, str]] = {
    "1.3.6.1.5.5.7.3.1": "tls_server",
    "1.3.6.1.5.5.7.3.2": "tls_client",
    "1.3.6.1.5.5.7.3.3": "code_signing",
    "1.3.6.1.5.5.7.3.4": "email_protection",
    "1.3.6.1.5.5.7.3.8": "time_stamping",
    "1.3.6.1.5.5.7.3.9": "ocsp_signing",
    "1.3.6.1.5.5.7.3.36": "document_signing",  # RFC 9336
}
_SERVER_AND_CLIENT: Final = {"tls_server", "tls_client"}


def certificate_type(certificate: Certificate) -> str | None:
    """Value of `trust.certificate.type`; `None` if the extensions do not determine it.

    Source: RFC 5280, 4.2.1.9 (basic constraints) and 4.2.1.12 (extended key usage).
    """
    # Imported here: a service that does not use the package never loads it.
    from cryptography.x509 import BasicConstraints, ExtendedKeyUsage

    try:
        values = [extension.value for extension in certificate.extensions]
    except Exception:
        # Malformed or duplicate extensions; a certificate from outside may contain anything.
        return None
    if any(isinstance(value, BasicConstraints) and value.ca for value in values):
        return "ca"
    usage: list[ExtendedKeyUsage] = [value for value in values if isinstance(value, ExtendedKeyUsage)]
    purposes = {_PURPOSES.get(purpose.dotted_string) for purposes in usage for purpose in purposes}
    # Certificate authorities issue server certificates with both purposes, client certificates with one.
    if purposes == _SERVER_AND_CLIENT:
        return "tls_server"
    return purposes.pop() if len(purposes) == 1 else None
