"""Texts that look like personal data or a secret, and texts that look like a name."""

import base64
import random
import secrets
import ssl
import string
import uuid
from collections.abc import Callable
from time import thread_time

import pytest
from cryptography.hazmat._oid import SignatureAlgorithmOID
from cryptography.x509.oid import ExtensionOID, NameOID

from trust_otel.privacy.pii import contains_private, looks_private
from trust_otel.semconv import attributes
from trust_otel.semconv.definitions import Attribute

PRIVATE = [
    "erika@example.org",
    "erika.mustermann+shop@mail.example.org",
    "erika%40example.org",
    "trust.v1.Documents/Erika%20Mustermann",
    "alice@CORP",
    "/users/erika@example.org",
    "Erika Mustermann",
    "Erika\u00a0Mustermann",
    "Erika\tMustermann",
    "CN=Mustermann",
    "O=Example,CN=Erika",
    "4111111111111111",
    "4111-1111-1111-1111",
    "4111.1111.1111.1111",
    "3782-822463-10005",
    "DE89370400440532013000",
    "GB29NWBK60161331926819",
    "+49-151-23456789",
    "+4915123456789",
    "0151-23456789",
    "(0151)23456789",
    "123-45-6789",
    "131052-308T",
    "19900101-1234",
    "12345678Z",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "AKIAIOSFODNN7EXAMPLE",
    "hvs.CAESIJlWh1x7xS8Uq5Yp0tR2k3Zm9Qv1",
    "550e8400-e29b-41d4-a716-446655440000",
    "/reset/9f86d081884c7d659a2feaa0c55ad015",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "AB:CD:EF:01:23:45",
    "https://user:secret@10.0.0.1/x",
    "//:secret@db:5432",
    "/callback?token=abc",
    "SELECT * FROM users WHERE name = 'Erika'",
    "SELECT\nname\nFROM users",
    "/* for Erika */ SELECT 1",
    "203.0.113.7",
    "login:198.51.100.23",
    "192.0.2.7",
    "2001:db8::1",
    "::ffff:192.0.2.7",
    "fe80::1%eth0",
]

NAMES = [
    "DSC",
    "tls_server",
    "certificate.issue",
    "issuing-ca",
    "trust/tls-secret",
    "ca.example.com:8443",
    "[ca]:8443",
    "/etc/tls/*.pem",
    "/users/{user_id}",
    "/documents/{document_id:uuid}",
    "/documents/{document_uuid}",
    "/.well-known/acme-challenge/{token}",
    "/@{user}",
    "/users/@me",
    "/api/v1/users/{user_id}/posts/{post_id:int}",
    "trust.v1.TrustService/Validate",
    "sqlalchemy.exc.IntegrityError",
    "tests.test_it.<locals>.BoomError",
    "postgresql/trust",
    "sqlite/:memory:",
    "500",
    "expired",
    "2024-01-31",
    "20240131",
    "2024-01-31T12:30:00Z",
    "1.45.1",
    "3.12.0rc1",
    "v1.2.3-beta.1",
    "1.2.840.113549.1.1.11",
    "2.5.29.15",
    "1.3.101.112",
    "2.16.840.1.101.3.4.2.1",
    "sha256WithRSAEncryption",
    "pbeWithSHA1And3KeyTripleDESCBC",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "ISO27001",
    "ISO/IEC-27001:2022",
    "ETSI-EN-319-411-2",
    "910/2014/EU",
    "PCI-DSS-4.0.1",
    "12.10.4.1",
    "CVE-2024-123456",
    "ORA-00942",
    "0x80090006",
    "CKR_PIN_INCORRECT",
    "X509V3CertificateError",
    "Pkcs11TokenException",
    "kubernetes://trust",
    "crl+https://crl.example.com/root.crl",
    "db-0.db.trust.svc.cluster.local",
    "ip-10-0-12-34.eu-central-1.compute.internal",
    "trust-web-7d9f8b6c5d-x2x4z",
    "mydb.c9akciq32rdf.eu-west-1.rds.amazonaws.com",
    "urn:ietf:params:acme:error:badCSR",
    "eu.europa.ec.eudi.pid.1",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "application/pdf",
    "std::runtime_error",
    "db::add",
    "library@1.2.3",
    "5/minute",
    "login:5/minute",
    "swedish-bankid",
    "Grüße",
    "日本",
    "grpc-server#2",
    "_other",
    "_OTHER",
    "/etc/my certificates/Issuing CA.pem",
    "",
    " ",
]


@pytest.mark.parametrize("text", PRIVATE)
def test_private_text_is_detected(text: str) -> None:
    assert looks_private(text)


@pytest.mark.parametrize("text", ["erika@example.org", "4111111111111111", "//user:secret@db"])
def test_full_width_characters_are_normalized(text: str) -> None:
    full_width = "".join(chr(ord(character) + 0xFEE0) for character in text)
    assert full_width != text
    assert looks_private(full_width)


@pytest.mark.parametrize("text", NAMES)
def test_name_is_not_private(text: str) -> None:
    assert not looks_private(text)


def test_addresses_can_be_allowed() -> None:
    for host in ("203.0.113.7:8443", "[2001:db8::1]:8443", "https://203.0.113.7"):
        assert looks_private(host)
        assert not looks_private(host, addresses=True)
    assert looks_private("postgresql://user:secret@203.0.113.7", addresses=True)


def test_examples_and_members_of_the_registry_are_not_private() -> None:
    declared = [value for value in vars(attributes).values() if isinstance(value, Attribute)]
    assert len(declared) > 40
    for attribute in declared:
        for value in (*attribute.examples, *attribute.members):
            assert not looks_private(str(value), addresses=attribute is attributes.CLIENT_ADDRESS), value


def test_object_identifiers_and_ciphers_are_not_private() -> None:
    for family in (NameOID, ExtensionOID, SignatureAlgorithmOID):
        for identifier in vars(family).values():
            if hasattr(identifier, "dotted_string"):
                assert not looks_private(identifier.dotted_string), identifier
    for cipher in ssl.create_default_context().get_ciphers():
        assert not looks_private(cipher["name"]), cipher


_dice = random.Random(7)
_LETTERS = string.ascii_letters + string.digits


@pytest.mark.parametrize(
    ("make", "share"),
    [
        (lambda: str(uuid.UUID(int=_dice.getrandbits(128))), 1),
        (lambda: _dice.randbytes(16).hex(), 1),
        (lambda: base64.urlsafe_b64encode(_dice.randbytes(32)).decode().rstrip("="), 0.98),
        (lambda: "".join(_dice.choices(_LETTERS, k=32)), 0.97),
        (lambda: "".join(_dice.choices(string.ascii_lowercase + string.digits, k=32)), 0.94),
    ],
    ids=["uuid", "hex", "base64url", "base62", "base36"],
)
def test_random_tokens_are_detected(make: Callable[[], str], share: float) -> None:
    assert sum(looks_private(make()) for _ in range(1000)) >= 1000 * share


def test_private_data_within_a_sentence() -> None:
    assert not contains_private("validate the certificate of the server")
    assert contains_private("reset the password of erika@example.org")
    assert contains_private(f"token {secrets.token_hex(20)} refused")


@pytest.mark.parametrize("unit", ["a1", "1.", "0:", "a@", "é", "a-", "//", "eyJ", "+1-", "1111-", "Aa1_"])
def test_takes_milliseconds(unit: str) -> None:
    text = (unit * 200)[:200]
    started = thread_time()
    for _ in range(20):
        looks_private(text)
    assert thread_time() - started < 0.1
