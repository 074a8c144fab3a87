"""Parses certificates and revocation lists: PEM, DER, PKCS#7 and PKCS#12, detected from the content."""

from __future__ import annotations

import binascii
import codecs
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from trust_otel.monitors.certificates import asn1
from trust_otel.monitors.certificates.content import Certificate, Content, RevocationList, UnreadableError

Password = Callable[[], bytes | None]
"""Returns the password of PKCS#12 files, or `None`; raises `UnreadableError`."""

_KEY_STORES: Final = {
    b"\xfe\xed\xfe\xed": "JKS",
    b"\xce\xce\xce\xce": "JCEKS",
    # The version, and the length of the salt.
    b"\0\0\0\1\0\0\0\x14": "BKS",
    b"\0\0\0\2\0\0\0\x14": "BKS",
}
_CONVERT: Final = "convert it with `keytool -importkeystore -srckeystore ... -destkeystore ... -deststoretype pkcs12`"

_INVALID: Final = "contains an invalid certificate or revocation list; it may be half written"
_TRUNCATED: Final = "is truncated within a certificate; it may be half written"

_PRIVATE_KEY: Final = "a private key"
_PUBLIC_KEY: Final = "a public key"
_REQUEST: Final = "a certificate signing request"

# PEM labels by their end (RFC 7468; OpenSSL, include/openssl/pem.h).
_OTHER_LABELS: Final = (
    (b"PRIVATE KEY", _PRIVATE_KEY),
    (b"PUBLIC KEY", _PUBLIC_KEY),
    (b"CERTIFICATE REQUEST", _REQUEST),
    (b"PARAMETERS", "parameters of a key"),
    (b"ATTRIBUTE CERTIFICATE", "an attribute certificate"),
)
# Labels with one of these words: among others X509 CRL, TRUSTED CERTIFICATE, PKCS #7 SIGNED DATA, CMS, PKCS12.
_LABEL_WORDS: Final = (b"CERTIFICATE", b"CRL", b"PKCS", b"CMS")

_BYTE_ORDER_MARKS: Final = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WIDE_BEGIN: Final = tuple("-----BEGIN ".encode(encoding) for encoding in ("utf-16-le", "utf-32-le"))
_SPACE: Final = b" \t\r\n\0"
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=" + _SPACE

# The first bytes after the first header: a long SEQUENCE, an object identifier, or version 3 of PKCS#12.
_STARTS: Final = (b"\x30\x81", b"\x30\x82", b"\x30\x83", b"\x06\x09", b"\x02\x01\x03\x30")

_SIGNED_DATA: Final = bytes.fromhex("2a864886f70d010702")
"""1.2.840.113549.1.7.2 (RFC 5652, section 5.1)."""

_Found = Certificate | RevocationList | str
"""A text names other content, such as `a private key`."""

_Load = Callable[[], Iterable[_Found]]


def no_password() -> bytes | None:
    """For content that is never encrypted."""
    return None


def parse(data: bytes, password: Password = no_password) -> Content:
    """All certificates and revocation lists.

    Args:
        data: A complete file or response.
        password: Called only for PKCS#12.
    """
    certificates: dict[bytes, Certificate] = {}
    crls: list[RevocationList] = []
    other = problem = None
    for load in _parts(data, password):
        try:
            for found in load():
                if isinstance(found, Certificate):
                    certificates.setdefault(found.fingerprint, found)
                elif isinstance(found, RevocationList):
                    crls.append(found)
                elif other is None or found == _PRIVATE_KEY:
                    other = found
        except UnreadableError as error:
            problem = problem or str(error)
        except Exception:
            # `cryptography` raises many exception types, with messages that do not help an operator.
            problem = problem or _INVALID
    return Content(tuple(certificates.values()), tuple(crls), problem, other)


def _parts(data: bytes, password: Password) -> Iterator[_Load]:
    """A loader for each part, so that an invalid part does not affect the others."""
    store = next((kind for magic, kind in _KEY_STORES.items() if data.startswith(magic)), None)
    if store is not None:
        yield partial(_refuse_key_store, store)
        return
    text = _ascii(data)
    if b"-----BEGIN " in text:
        yield from _pem_parts(text, password)
    else:
        yield from _der_parts(_decoded(text) or data, password)


def _ascii(data: bytes) -> bytes:
    """The ASCII characters of text in UTF-8, UTF-16 or UTF-32."""
    mark = next((mark for mark in _BYTE_ORDER_MARKS if data.startswith(mark)), b"")
    if not mark and not any(begin in data for begin in _WIDE_BEGIN):
        return data
    # The other bytes of an ASCII character are 0.
    return data[len(mark) :].replace(b"\0", b"")


def _decoded(text: bytes) -> bytes | None:
    """The bytes of base64 text; `None` for other content."""
    # In base64, an ASN.1 SEQUENCE starts with M.
    if not text.lstrip(_SPACE).startswith(b"M") or text.translate(None, _BASE64):
        return None
    try:
        return binascii.a2b_base64(text)
    except binascii.Error:
        return None


def _pem_parts(text: bytes, password: Password) -> Iterator[_Load]:
    # Split instead of a regular expression, so that the time is linear in the size.
    for block in text.split(b"-----BEGIN ")[1:]:
        label, _, rest = block.partition(b"-----")
        other = next((kind for end, kind in _OTHER_LABELS if label.endswith(end)), None)
        if other is not None:
            yield partial(_other, other)
        elif any(word in label for word in _LABEL_WORDS):
            body, end, _ = rest.partition(b"-----END " + label + b"-----")
            yield partial(_pem_part, body if end else None, password)


def _pem_part(body: bytes | None, password: Password) -> Iterator[_Found]:
    if body is None:
        raise UnreadableError(_TRUNCATED)
    # In JSON, line ends are escaped.
    text = body.replace(b"\\r", b"").replace(b"\\n", b"\n")
    empty = True
    for load in _der_parts(binascii.a2b_base64(_without_headers(text)), password):
        for found in load():
            empty = False
            yield found
    if empty:
        raise UnreadableError(_INVALID)


def _without_headers(body: bytes) -> bytes:
    """The body without headers, which end at an empty line (RFC 1421, section 4.4)."""
    return body if b":" not in body else body.replace(b"\r\n", b"\n").partition(b"\n\n")[2]


def _der_parts(data: bytes, password: Password) -> Iterator[_Load]:
    """A loader for each of the elements at the start of the data. What follows the last known one is ignored."""
    position = 0
    while data[position : position + 1] == b"\x30":
        try:
            element = asn1.element_at(data, position)
            load = _loader(element, password)
        except (ValueError, IndexError):
            if _is_start(data[position : position + 16]):
                yield _refuse_truncated
            return
        if load is None:
            return
        yield load
        position = element.end
        while position < len(data) and data[position] in _SPACE:
            position += 1


def _is_start(data: bytes) -> bool:
    """Whether truncated data starts like a certificate, a revocation list, or a PKCS#7 or PKCS#12 structure."""
    length = data[1:2]
    header = 2 + (length[0] & 0x7F if length and length[0] > 0x80 else 0)
    return length >= b"\x80" and data[header:].startswith(_STARTS)


def _loader(element: asn1.Element, password: Password) -> _Load | None:
    """A loader for a known structure.

    Raises:
        ValueError: The structure is invalid.
    """
    first = list(islice(element.children(), 4))
    tags = tuple(child.tag for child in first)
    if tags == (asn1.SEQUENCE, asn1.SEQUENCE, asn1.BIT_STRING):
        return lambda: [_signed(element.encoded)]
    if tags[:2] == (asn1.OBJECT_IDENTIFIER, asn1.CONTEXT_0):
        return partial(_message, first[0].value, first[1])
    if tags[:2] == (asn1.INTEGER, asn1.SEQUENCE) and first[0].value == b"\3":  # PFX (RFC 7292, section 4)
        return lambda: _pkcs12(element.encoded, password)
    # RFC 5958, section 2; RFC 8017, A.1.2; RFC 5915, section 3.
    if tags[:1] == (asn1.INTEGER,) and first[0].value in (b"\0", b"\1"):
        return partial(_other, _PRIVATE_KEY)
    if tags == (asn1.SEQUENCE, asn1.OCTET_STRING):  # encrypted (RFC 5958, section 3)
        return partial(_other, _PRIVATE_KEY)
    return partial(_other, _PUBLIC_KEY) if tags == (asn1.SEQUENCE, asn1.BIT_STRING) else None


def _signed(der: bytes) -> _Found:
    """A certificate, a revocation list or a request: all consist of a content, an algorithm and a signature."""
    with suppress(ValueError, x509.InvalidVersion):
        return Certificate(x509.load_der_x509_certificate(der))
    with suppress(ValueError, x509.InvalidVersion):
        return RevocationList(x509.load_der_x509_crl(der))
    x509.load_der_x509_csr(der)
    return _REQUEST


def _message(content_type: bytes, content: asn1.Element) -> Iterator[_Found]:
    """The certificates and revocation lists of PKCS#7 or CMS signed data (RFC 5652, sections 3 and 5.1)."""
    (message,) = content.children()
    collections = [
        child
        for child in (message.children() if content_type == _SIGNED_DATA else ())
        if child.tag in (asn1.CONTEXT_0, asn1.CONTEXT_1)
    ]
    items = [item for collection in collections for item in collection.children() if item.tag == asn1.SEQUENCE]
    if not items:
        yield "a CMS message without certificates"
    yield from _each(partial(_signed, item.encoded) for item in items)


def _pkcs12(data: bytes, password: Password) -> Iterator[_Found]:
    given = password()
    for candidate in dict.fromkeys((given, None, b"")):
        try:
            store = pkcs12.load_pkcs12(data, candidate)
        except ValueError:
            continue
        stored = ([store.cert] if store.cert else []) + list(store.additional_certs)
        if not stored:
            yield _PRIVATE_KEY
        yield from _each(partial(Certificate, entry.certificate) for entry in stored)
        return
    if given is None:
        raise UnreadableError(
            "is encrypted or invalid: set TRUST_OTEL_CERTIFICATE_PASSWORD_FILE to a file with the password"
        )
    raise UnreadableError(
        "cannot be decrypted with the password in TRUST_OTEL_CERTIFICATE_PASSWORD_FILE, or is invalid"
    )


def _each(loaders: Iterable[Callable[[], _Found]]) -> Iterator[_Found]:
    """The result of each loader; the exception of one is raised after the results of the others."""
    failed = None
    for load in loaders:
        try:
            found = load()
        except Exception as error:
            failed = error
        else:
            yield found
    if failed is not None:
        raise failed


def _other(kind: str) -> Iterable[_Found]:
    return [kind]


def _refuse_truncated() -> Iterable[_Found]:
    raise UnreadableError(_TRUNCATED)


def _refuse_key_store(kind: str) -> Iterable[_Found]:
    raise UnreadableError(f"is a {kind} key store, which is not supported: {_CONVERT}")
