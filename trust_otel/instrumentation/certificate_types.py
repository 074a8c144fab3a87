"""The type of a certificate, from its extensions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Extension, ObjectIdentifier

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
    try:
        extensions = list(certificate.extensions)
    except Exception:
        # Malformed or duplicate extensions; a certificate from outside may contain anything.
        return None
    return _type(extensions)


def issued_certificate_type(certificate: Certificate, builder: object = None, *_: object, **__: object) -> str | None:
    """The same from the builder that issued the certificate: reading it back takes a quarter of a P-256 signature."""
    # Private: public API has no extensions of a builder.
    extensions = getattr(builder, "_extensions", None)
    return _type(extensions, certificate) if type(extensions) is list else certificate_type(certificate)


def _type(extensions: Iterable[Extension[Any]], issued: Certificate | None = None) -> str | None:
    """The type from the extensions; those of a builder may be of a class that only the issued certificate resolves."""
    basic_constraints, extended_key_usage, parsed, known_purposes = _library()
    authority = False
    purposes: set[str | None] = set()
    for extension in extensions:
        value = extension.value
        # Not `isinstance`: for an abstract class, it takes as long as all the rest.
        kind = type(value)
        if kind is extended_key_usage:
            for purpose in value:
                purposes.add(known_purposes.get(purpose))
        elif kind is basic_constraints:
            authority = authority or value.ca
        elif issued is not None and kind not in parsed:
            return certificate_type(issued)
    if authority:
        return "ca"
    if len(purposes) == 1:
        return purposes.pop()
    # Certificate authorities issue server certificates with both purposes, client certificates with one.
    return "tls_server" if purposes == _SERVER_AND_CLIENT else None


class _Library(NamedTuple):
    """What the package defines.

    Attributes:
        basic_constraints: Class of the extension.
        extended_key_usage: Class of the extension.
        parsed: All classes that a certificate's extensions are parsed into, except that of unknown content.
        purposes: Types by purpose.
    """

    basic_constraints: type
    extended_key_usage: type
    parsed: frozenset[type]
    purposes: Mapping[ObjectIdentifier, str]


@cache
def _library() -> _Library:
    # Imported here: a service that does not use the package never loads it.
    from cryptography import x509

    classes = {each for each in vars(x509).values() if isinstance(each, type) and issubclass(each, x509.ExtensionType)}
    return _Library(
        x509.BasicConstraints,
        x509.ExtendedKeyUsage,
        frozenset(classes - {x509.UnrecognizedExtension}),
        {x509.ObjectIdentifier(purpose): name for purpose, name in _PURPOSES.items()},
    )
