"""What kind a certificate is, as far as its extensions make that certain."""

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
_OF_BOTH_SIDES: Final = {"tls_server", "tls_client"}


def certificate_type(certificate: Certificate) -> str | None:
    """The kind that basic constraints (RFC 5280, 4.2.1.9) or the extended key usage (4.2.1.12) make certain."""
    # Imported here: a service that does not use the package never loads it.
    from cryptography.x509 import BasicConstraints, ExtendedKeyUsage

    try:
        values = [extension.value for extension in certificate.extensions]
    except Exception:
        # An extension that cannot be read, or two of a kind: anybody may put anything into one.
        return None
    if any(isinstance(value, BasicConstraints) and value.ca for value in values):
        return "ca"
    usage: list[ExtendedKeyUsage] = [value for value in values if isinstance(value, ExtendedKeyUsage)]
    purposes = {_PURPOSES.get(purpose.dotted_string) for purposes in usage for purpose in purposes}
    # Authorities give servers both purposes, and clients the one.
    if purposes == _OF_BOTH_SIDES:
        return "tls_server"
    return purposes.pop() if len(purposes) == 1 else None
