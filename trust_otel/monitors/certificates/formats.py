"""Reads certificates and revocation lists from bytes: PEM, DER, PKCS#7 and PKCS#12, told apart by what they hold."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

from trust_otel.monitors.certificates.content import Certificate, Content, RevocationList, UnreadableError

Password = Callable[[], bytes | None]
"""Gives the password of PKCS#12 files; `None` when there is none; raises `UnreadableError`."""

_KEY_STORES: Final = {b"\xfe\xed\xfe\xed": "JKS", b"\xce\xce\xce\xce": "JCEKS"}
_CONVERT: Final = "convert it with `keytool -importkeystore -srckeystore ... -destkeystore ... -deststoretype pkcs12`"

_Found = Iterable[x509.Certificate | x509.CertificateRevocationList]


def no_password() -> bytes | None:
    """For what is never encrypted."""
    return None


def parse(data: bytes, password: Password = no_password) -> Content:
    """Everything that can be read; what is none of it, such as keys and text, is left out in silence.

    Args:
        data: A whole file or answer.
        password: Asked only for PKCS#12.
    """
    certificates: dict[bytes, Certificate] = {}
    lists: list[RevocationList] = []
    problem = None
    for load in _parts(data, password):
        try:
            for found in load():
                if isinstance(found, x509.Certificate):
                    certificate = Certificate(found)
                    certificates.setdefault(certificate.fingerprint, certificate)
                else:
                    lists.append(RevocationList(found))
        except UnreadableError as error:
            problem = problem or str(error)
        except Exception:
            # `cryptography` has many exceptions for what it does not like; its texts tell an operator nothing.
            problem = problem or "holds a broken certificate or revocation list; it may be half written"
    return Content(tuple(certificates.values()), tuple(lists), problem)


def _parts(data: bytes, password: Password) -> Iterator[Callable[[], _Found]]:
    """How to read each part; the parts are read one by one, so that one that is broken leaves the others."""
    if b"-----BEGIN " in data:
        yield from _pem_parts(data)
    elif data[:4] in _KEY_STORES:
        yield lambda: _refuse_key_store(_KEY_STORES[data[:4]])
    elif data[:1] == b"\x30":  # an ASN.1 SEQUENCE
        yield lambda: _der(data, password)


def _pem_parts(data: bytes) -> Iterator[Callable[[], _Found]]:
    # Split, not searched by an expression, so that the time grows with the size only, whatever is in it.
    for block in data.split(b"-----BEGIN ")[1:]:
        label, _, rest = block.partition(b"-----")
        read = _PEM.get(label)
        if read is not None:
            body, end, _ = rest.partition(b"-----END " + label + b"-----")
            yield lambda body=body, end=end, read=read: _pem_part(body, end, read)  # type: ignore[misc]


def _pem_part(body: bytes, end: bytes, read: Callable[[bytes], _Found]) -> _Found:
    if not end:
        raise UnreadableError("ends in the middle of a certificate; it may be half written")
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
        except Exception:  # noqa: S112 - it is something else, such as a key
            continue
    return []


def _is_pkcs12(data: bytes) -> bool:
    """Whether it begins like a PFX: a SEQUENCE of the version 3 and another SEQUENCE (RFC 7292, 4)."""
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
            "is encrypted, or broken: set TRUST_OTEL_CERTIFICATE_PASSWORD_FILE to its password's file"
        )
    raise UnreadableError("cannot be decrypted with the password in TRUST_OTEL_CERTIFICATE_PASSWORD_FILE, or is broken")


def _refuse_key_store(kind: str) -> _Found:
    raise UnreadableError(f"is a {kind} key store, which is not read: {_CONVERT}")
