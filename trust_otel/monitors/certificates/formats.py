"""Parses certificates and revocation lists: PEM, DER, PKCS#7 and PKCS#12, detected from the content."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

from trust_otel.monitors.certificates.content import Certificate, Content, RevocationList, UnreadableError

Password = Callable[[], bytes | None]
"""Returns the password of PKCS#12 files, or `None`; raises `UnreadableError`."""

_KEY_STORES: Final = {b"\xfe\xed\xfe\xed": "JKS", b"\xce\xce\xce\xce": "JCEKS"}
_CONVERT: Final = "convert it with `keytool -importkeystore -srckeystore ... -destkeystore ... -deststoretype pkcs12`"

_Found = Iterable[x509.Certificate | x509.CertificateRevocationList]


def no_password() -> bytes | None:
    """For content that is never encrypted."""
    return None


def parse(data: bytes, password: Password = no_password) -> Content:
    """All certificates and revocation lists. Other content, such as keys and text, is ignored.

    Args:
        data: A complete file or response.
        password: Called only for PKCS#12.
    """
    certificates: dict[bytes, Certificate] = {}
    crls: list[RevocationList] = []
    problem = None
    for load in _parts(data, password):
        try:
            for found in load():
                if isinstance(found, x509.Certificate):
                    certificate = Certificate(found)
                    certificates.setdefault(certificate.fingerprint, certificate)
                else:
                    crls.append(RevocationList(found))
        except UnreadableError as error:
            problem = problem or str(error)
        except Exception:
            # `cryptography` raises many exception types, with messages that do not help an operator.
            problem = problem or "contains an invalid certificate or revocation list; it may be half written"
    return Content(tuple(certificates.values()), tuple(crls), problem)


def _parts(data: bytes, password: Password) -> Iterator[Callable[[], _Found]]:
    """A loader for each part, so that an invalid part does not affect the others."""
    if b"-----BEGIN " in data:
        yield from _pem_parts(data)
    elif data[:4] in _KEY_STORES:
        yield lambda: _refuse_key_store(_KEY_STORES[data[:4]])
    elif data[:1] == b"\x30":  # an ASN.1 SEQUENCE
        yield lambda: _der(data, password)


def _pem_parts(data: bytes) -> Iterator[Callable[[], _Found]]:
    # Split instead of a regular expression, so that the time is linear in the size.
    for block in data.split(b"-----BEGIN ")[1:]:
        label, _, rest = block.partition(b"-----")
        read = _PEM.get(label)
        if read is not None:
            body, end, _ = rest.partition(b"-----END " + label + b"-----")
            yield lambda body=body, end=end, read=read: _pem_part(body, end, read)  # type: ignore[misc]


def _pem_part(body: bytes, end: bytes, read: Callable[[bytes], _Found]) -> _Found:
    if not end:
        raise UnreadableError("is truncated within a certificate; it may be half written")
    return read(binascii.a2b_base64(body))


_PEM: Final[dict[bytes, Callable[[bytes], _Found]]] = {
    b"CERTIFICATE": lambda der: [x509.load_der_x509_certificate(der)],
    b"X509 CERTIFICATE": lambda der: [x509.load_der_x509_certificate(der)],
    b"X509 CRL": lambda der: [x509.load_der_x509_crl(der)],
    b"PKCS7": pkcs7.load_der_pkcs7_certificates,
    b"CMS": pkcs7.load_der_pkcs7_certificates,
}


def _der(data: bytes, password: Password) -> _Found:
    if _is_pkcs12(data):
        return _pkcs12(data, password)
    loaders: tuple[Callable[[bytes], _Found], ...] = (
        lambda der: [x509.load_der_x509_certificate(der)],
        lambda der: [x509.load_der_x509_crl(der)],
        pkcs7.load_der_pkcs7_certificates,
    )
    for load in loaders:
        try:
            return load(data)
        except Exception:  # noqa: S112 - another format, such as a key
            continue
    return []


def _is_pkcs12(data: bytes) -> bool:
    """Whether the data starts like a PFX: a SEQUENCE of version 3 and another SEQUENCE (RFC 7292, section 4)."""
    length = data[1:2]
    header = 2 + (length[0] & 0x7F if length and length[0] > 0x80 else 0)
    return data[header : header + 4] == b"\x02\x01\x03\x30"


def _pkcs12(data: bytes, password: Password) -> _Found:
    given = password()
    for candidate in dict.fromkeys((given, None, b"")):
        try:
            store = pkcs12.load_pkcs12(data, candidate)
        except ValueError:
            continue
        stored = ([store.cert] if store.cert else []) + list(store.additional_certs)
        return [entry.certificate for entry in stored]
    if given is None:
        raise UnreadableError(
            "is encrypted or invalid: set TRUST_OTEL_CERTIFICATE_PASSWORD_FILE to a file with the password"
        )
    raise UnreadableError(
        "cannot be decrypted with the password in TRUST_OTEL_CERTIFICATE_PASSWORD_FILE, or is invalid"
    )


def _refuse_key_store(kind: str) -> _Found:
    raise UnreadableError(f"is a {kind} key store, which is not supported: {_CONVERT}")
