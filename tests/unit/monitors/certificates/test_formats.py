"""Parsing: every format is detected from its content, and other data is ignored."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.unit.monitors.certificates.authority import NOW, Authority, der, distinguished, key_pem, pem
from trust_otel.monitors.certificates.content import Content
from trust_otel.monitors.certificates.formats import parse


def found(content: Content) -> list[x509.Certificate]:
    return [certificate.x509 for certificate in content.certificates]


def test_pem_bundle_with_keys_and_text(authority: Authority) -> None:
    leaf, key = authority.issue()
    data = b"subject=/CN=x\n" + key_pem(key) + pem(leaf) + b"\n# the root\r\n" + pem(authority.certificate)
    content = parse(data)
    assert found(content) == [leaf, authority.certificate]
    assert content.problem is None


def test_pem_with_crlf_and_byte_order_mark(authority: Authority) -> None:
    data = b"\xef\xbb\xbf" + pem(authority.certificate).replace(b"\n", b"\r\n")
    assert found(parse(data)) == [authority.certificate]


def test_duplicate_certificate(authority: Authority) -> None:
    assert found(parse(pem(authority.certificate) * 2)) == [authority.certificate]


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_pkcs7(authority: Authority, encoding: Encoding) -> None:
    leaf, _ = authority.issue()
    data = pkcs7.serialize_certificates([leaf, authority.certificate], encoding)
    assert set(found(parse(data))) == {leaf, authority.certificate}


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_revocation_list(authority: Authority, encoding: Encoding) -> None:
    (one,) = parse(authority.revocation_list().public_bytes(encoding)).crls
    assert one.next_update == NOW.timestamp() + 24 * 3600


def test_der(authority: Authority) -> None:
    assert found(parse(der(authority.certificate))) == [authority.certificate]


@pytest.mark.parametrize(
    ("encrypted_with", "given"), [(b"secret", b"secret"), (None, None), (None, b"of another file")]
)
def test_pkcs12(authority: Authority, encrypted_with: bytes | None, given: bytes | None) -> None:
    leaf, key = authority.issue()
    encryption = BestAvailableEncryption(encrypted_with) if encrypted_with else NoEncryption()
    data = pkcs12.serialize_key_and_certificates(b"x", key, leaf, [authority.certificate], encryption)
    assert found(parse(data, lambda: given))[0] == leaf


@pytest.mark.parametrize(
    ("given", "fix"), [(None, "set TRUST_OTEL_CERTIFICATE_PASSWORD_FILE"), (b"x", "with the pass")]
)
def test_pkcs12_that_cannot_be_decrypted(authority: Authority, given: bytes | None, fix: str) -> None:
    leaf, key = authority.issue()
    data = pkcs12.serialize_key_and_certificates(b"x", key, leaf, None, BestAvailableEncryption(b"secret"))
    content = parse(data, lambda: given)
    assert content.empty
    assert content.problem is not None
    assert fix in content.problem
    assert "secret" not in content.problem


@pytest.mark.parametrize("magic", [b"\xfe\xed\xfe\xed\0\0\0\2", b"\xce\xce\xce\xce\0\0\0\2", b"\0\0\0\2\0\0\0\x14"])
def test_java_key_store_is_rejected_with_a_fix(magic: bytes) -> None:
    content = parse(magic + os.urandom(100))
    assert "keytool -importkeystore" in (content.problem or "")


def test_other_data_is_ignored() -> None:
    for data in (
        b"",
        b"\x30",
        b"\x30\x80",
        b"text",
        b"0 is the first character, " * 9,
        b"MIT",
        os.urandom(1000),
        _TRUNCATED,
    ):
        assert parse(data) == Content()


_TRUNCATED = b"\x30\x82\xff\xff" + bytes(99)
_KEY = ed25519.Ed25519PrivateKey.generate()
_REQUEST = x509.CertificateSigningRequestBuilder().subject_name(distinguished("x")).sign(_KEY, None)


@pytest.mark.parametrize(
    ("data", "other"),
    [
        (key_pem(_KEY), "a private key"),
        (_KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), "a private key"),
        (_KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")), "a private key"),
        (_KEY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()), "a private key"),
        (_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), "a public key"),
        (pem(_REQUEST), "a certificate signing request"),
        (pem(_REQUEST).replace(b"CERTIFICATE", b"NEW CERTIFICATE"), "a certificate signing request"),
        (der(_REQUEST), "a certificate signing request"),
        (b"-----BEGIN DH PARAMETERS-----\nMAYCAQICAQI=\n-----END DH PARAMETERS-----", "parameters of a key"),
    ],
    # The keys are random, and the workers of pytest-xdist must find the same tests.
    ids=lambda _: "",
)
def test_other_content_is_named(data: bytes, other: str) -> None:
    assert parse(data) == Content(other=other)


def labelled(data: bytes, label: str) -> bytes:
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label.encode(), base64.encodebytes(data), label.encode())


@pytest.mark.parametrize(
    "label", ["CERTIFICATE", "X509 CERTIFICATE", "X.509 CERTIFICATE", "TRUSTED CERTIFICATE", "CERTIFICATE CHAIN"]
)
def test_labels_of_certificates(authority: Authority, label: str) -> None:
    assert found(parse(labelled(der(authority.certificate), label))) == [authority.certificate]


@pytest.mark.parametrize("label", ["PKCS7", "PKCS #7 SIGNED DATA", "CMS", "CERTIFICATE", "CERTIFICATE CHAIN"])
def test_labels_of_pkcs7(authority: Authority, label: str) -> None:
    leaf, _ = authority.issue()
    data = pkcs7.serialize_certificates([leaf, authority.certificate], Encoding.DER)
    assert set(found(parse(labelled(data, label)))) == {leaf, authority.certificate}


def test_trust_attributes_of_openssl_are_ignored(authority: Authority) -> None:
    # The alias of a certificate (OpenSSL, X509_CERT_AUX): SEQUENCE of UTF8String.
    data = labelled(der(authority.certificate) + b"\x30\x04\x0c\x02me", "TRUSTED CERTIFICATE")
    assert parse(data).problem is None
    assert found(parse(data)) == [authority.certificate]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff", "caf\u00e9 \u20ac "])
def test_pem_in_unicode_encodings(authority: Authority, encoding: str, mark: str) -> None:
    leaf, _ = authority.issue()
    data = (mark + pem(leaf, authority.certificate).decode()).encode(encoding)
    assert found(parse(data)) == [leaf, authority.certificate]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\n", "\n    "),
        lambda text: text.rstrip("\n"),
        lambda text: "Bag Attributes\n    friendlyName: x\n" + text,
        lambda text: json.dumps({"certificate": text}),
        lambda text: text.replace("CERTIFICATE-----\n", "CERTIFICATE-----\nOrigin: x\n\n", 1),
    ],
)
def test_layouts_of_pem(authority: Authority, change: Callable[[str], str]) -> None:
    assert found(parse(change(pem(authority.certificate).decode()).encode())) == [authority.certificate]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0\0", b"\nnotes"])
def test_der_with_more_at_its_end(authority: Authority, end: bytes) -> None:
    assert found(parse(der(authority.certificate) + end)) == [authority.certificate]
    crl = authority.revocation_list()
    assert [one.x509 for one in parse(der(crl) + end).crls] == [crl]
    data = pkcs7.serialize_certificates([authority.certificate], Encoding.DER)
    assert found(parse(data + end)) == [authority.certificate]


@pytest.mark.parametrize("between", [b"", b"\n", b"\r\n"])
def test_several_certificates_in_der(authority: Authority, between: bytes) -> None:
    leaf, _ = authority.issue()
    data = der(leaf) + between + der(authority.certificate)
    assert found(parse(data)) == [leaf, authority.certificate]
    half = parse(data[:-10])
    assert (found(half), "half written" in (half.problem or "")) == ([leaf], True)


@pytest.mark.parametrize("encoding", ["ascii", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.encodebytes])
def test_base64_without_labels(authority: Authority, encoding: str, encode: Callable[[bytes], bytes]) -> None:
    assert found(parse(encode(der(authority.certificate)).decode().encode(encoding))) == [authority.certificate]
    assert parse(encode(der(authority.revocation_list())).decode().encode(encoding)).crls


def test_pkcs7_with_an_indefinite_length(authority: Authority) -> None:
    data = pkcs7.serialize_certificates([authority.certificate], Encoding.DER)
    (header, length) = (4, int.from_bytes(data[2:4], "big"))
    assert (data[:2], len(data)) == (b"\x30\x82", header + length)
    assert found(parse(b"\x30\x80" + data[header:] + b"\0\0\n")) == [authority.certificate]


def test_deeply_nested_data_is_ignored() -> None:
    assert parse(b"\x30\x80" * 100_000).empty


def test_invalid_certificate_in_pkcs7_does_not_affect_others(authority: Authority) -> None:
    leaf, _ = authority.issue(end=NOW.replace(year=9999))
    data = pkcs7.serialize_certificates([leaf, authority.certificate], Encoding.DER)
    content = parse(data.replace(b"9999", b"0000", 1))
    assert found(content) == [authority.certificate]
    assert content.problem


def test_half_written_bundle(authority: Authority) -> None:
    leaf, _ = authority.issue()
    whole = pem(leaf, authority.certificate)
    content = parse(whole[:-100])
    assert found(content) == [leaf]
    assert "half written" in (content.problem or "")


def test_invalid_certificate_does_not_affect_others(authority: Authority) -> None:
    leaf, _ = authority.issue()
    broken = b"-----BEGIN CERTIFICATE-----\nMIIBroken\n-----END CERTIFICATE-----\n"
    content = parse(pem(leaf) + broken + pem(authority.certificate))
    assert found(content) == [leaf, authority.certificate]
    assert content.problem


def test_truncated_and_corrupted_data_does_not_raise(authority: Authority) -> None:
    leaf, _ = authority.issue()
    for whole in (der(leaf), pem(leaf)):
        for position in range(0, len(whole), 3):
            parse(whole[:position])
            parse(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_negative_serial_number(authority: Authority) -> None:
    leaf, _ = authority.issue(serial=5)
    data = der(leaf).replace(b"\x02\x01\x05", b"\x02\x01\x85", 1)
    (certificate,) = parse(data).certificates
    assert certificate.x509.serial_number == -123
    assert certificate.not_after == leaf.not_valid_after_utc.timestamp()


def test_dates_out_of_range() -> None:
    authority = Authority()
    leaf, _ = authority.issue(end=NOW.replace(year=9999, month=12, day=31, hour=23, minute=59, second=59))
    data = der(leaf)
    (certificate,) = parse(data).certificates
    assert certificate.not_after == 253402300799
    year_0 = b"-----BEGIN CERTIFICATE-----\n%b-----END CERTIFICATE-----\n" % base64.encodebytes(
        data.replace(b"9999", b"0000", 1)
    )
    assert parse(year_0).empty
    assert parse(year_0).problem


def test_invalid_extensions(authority: Authority) -> None:
    leaf, _ = authority.issue()
    # Replaces the OID of extendedKeyUsage by that of basicConstraints, whose content differs.
    data = der(leaf).replace(bytes.fromhex("0603551d25"), bytes.fromhex("0603551d13"))
    assert data != der(leaf)
    (certificate,) = parse(data).certificates
    assert (certificate.type, certificate.not_after) == (None, leaf.not_valid_after_utc.timestamp())


def test_parse_time_is_linear() -> None:
    data = b"-----BEGIN CERTIFICATE-----\n" * 300_000
    begin = time.process_time()
    assert parse(data).empty
    assert time.process_time() - begin < 10


_SERVER, _CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@pytest.mark.parametrize(
    ("purposes", "kind"),
    [
        ((_SERVER,), "tls_server"),
        ((_CLIENT,), "tls_client"),
        ((_SERVER, _CLIENT), "tls_server"),
        ((ExtendedKeyUsageOID.CODE_SIGNING,), "code_signing"),
        ((ExtendedKeyUsageOID.OCSP_SIGNING,), "ocsp_signing"),
        ((x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36"),), "document_signing"),
        ((ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.TIME_STAMPING), None),
        ((x509.ObjectIdentifier("1.2.3.4"),), None),
        ((_SERVER, x509.ObjectIdentifier("1.2.3.4")), None),
        ((), None),
    ],
)
def test_type_from_extended_key_usage(authority: Authority, purposes: tuple[Any, ...], kind: str | None) -> None:
    leaf, _ = authority.issue(purposes=purposes)
    (certificate,) = parse(der(leaf)).certificates
    assert certificate.type == kind


def test_type_of_a_ca_certificate() -> None:
    key = rsa.generate_private_key(65537, 2048)
    (certificate,) = parse(der(Authority(key=key).certificate)).certificates
    assert certificate.type == "ca"
