"""Kind and chain position of a certificate, from its names and extensions."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

from tests.unit.monitors.certificates.authority import DAY, NOW, distinguished
from trust_otel.monitors.certificates.kinds import classify

_ISSUER_KEY = ec.generate_private_key(ec.SECP256R1())
_KEY = ec.generate_private_key(ec.SECP256R1())
# From 2026-01-01 (PrivateKeyUsagePeriod, RFC 3280, 4.2.1.4).
_USAGE_PERIOD = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.16"), b"0\x11\x80\x0f20260101000000Z")
_DOCUMENT_TYPES = x509.UnrecognizedExtension(
    x509.ObjectIdentifier("2.23.136.1.1.6.2"), b"0\x08\x02\x01\x001\x03\x13\x01P"
)


def _certificate(*extensions: Any, issuer: str = "CA", subject: str = "a") -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(distinguished(subject))
        .issuer_name(distinguished(issuer))
        .public_key(_KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + DAY)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(_ISSUER_KEY, SHA256())


def _purposes(*purposes: Any) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([x509.ObjectIdentifier(each) if isinstance(each, str) else each for each in purposes])


def _usage(*, content_commitment: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(True, content_commitment, False, False, False, False, False, False, False)


def _ca(path_length: int | None = None) -> x509.BasicConstraints:
    return x509.BasicConstraints(ca=True, path_length=path_length)


def _kind(*extensions: Any, **names: str) -> tuple[str | None, str | None]:
    found = classify(_certificate(*extensions, **names))
    return found.kind, found.position


class TestAuthorities:
    def test_self_signed_is_root(self) -> None:
        own = x509.SubjectKeyIdentifier.from_public_key(_KEY.public_key())
        authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
        for extensions in ((), (own,), (own, authority)):
            assert _kind(_ca(), *extensions, issuer="CA", subject="CA") == ("root", "root")

    def test_issued_by_another_is_issuing_ca(self) -> None:
        assert _kind(_ca(0)) == ("issuing_ca", "intermediate")

    def test_new_key_under_the_old_name_is_not_self_signed(self) -> None:
        """As in a rollover, where the old key signs the new certificate."""
        own = x509.SubjectKeyIdentifier.from_public_key(_KEY.public_key())
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(_ISSUER_KEY.public_key())
        assert _kind(_ca(), own, authority, issuer="CA", subject="CA") == ("issuing_ca", "intermediate")

    def test_country_signing_ca(self) -> None:
        assert _kind(_ca(0), _USAGE_PERIOD, subject="CA") == ("csca", "root")
        assert _kind(_ca(0), _USAGE_PERIOD) == ("csca", "intermediate")
        assert _kind(_ca(1), _USAGE_PERIOD) == ("issuing_ca", "intermediate")


class TestEndEntities:
    @pytest.mark.parametrize(
        ("extensions", "kind"),
        [
            ((_purposes(Purpose.SERVER_AUTH),), "tls"),
            ((_purposes(Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH),), "tls"),
            ((_purposes(Purpose.TIME_STAMPING),), "tsa"),
            ((_purposes(Purpose.OCSP_SIGNING),), "ocsp_responder"),
            ((_purposes(Purpose.CODE_SIGNING),), "signer"),
            ((_purposes("1.3.6.1.5.5.7.3.36"),), "signer"),
            ((_purposes("2.23.136.1.1.3"),), "signer"),
            ((_purposes("1.2.3.4"),), None),
            ((_purposes("1.2.3.4"), _usage(content_commitment=True)), "signer"),
            ((_purposes(Purpose.EMAIL_PROTECTION, Purpose.CLIENT_AUTH),), None),
            ((_purposes(Purpose.EMAIL_PROTECTION, Purpose.CLIENT_AUTH), _usage(content_commitment=True)), "signer"),
            ((_DOCUMENT_TYPES,), "signer"),
            ((_USAGE_PERIOD,), "signer"),
            ((_USAGE_PERIOD, _purposes(Purpose.SERVER_AUTH)), "tls"),
            ((_usage(content_commitment=True),), "signer"),
            ((_usage(),), None),
            ((x509.BasicConstraints(ca=False, path_length=None), _usage()), None),
            ((), None),
        ],
    )
    def test_kind(self, extensions: tuple[Any, ...], kind: str | None) -> None:
        assert _kind(*extensions) == (kind, "end_entity")

    def test_self_signed_without_basic_constraints_is_an_end_entity(self) -> None:
        assert _kind(_purposes(Purpose.SERVER_AUTH), subject="CA") == ("tls", "end_entity")


def test_malformed_extension_leaves_both_unknown() -> None:
    malformed = x509.UnrecognizedExtension(x509.BasicConstraints.oid, b"\x30\x01")
    assert _kind(malformed) == (None, None)
