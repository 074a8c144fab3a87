"""Certificate operations of `cryptography` are measured without code, and work as before."""

import gc
import inspect
import logging
import pickle
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509 import ocsp, verification
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from wrapt import wrap_function_wrapper

from trust_otel.instrumentation.certificate_types import issued_certificate_type
from trust_otel.instrumentation.cryptography import CryptographyInstrumentor

Recorded = Callable[[], list[tuple[str, ...]]]

SHA256 = hashes.SHA256()
NOW = datetime.now(timezone.utc)
REFUSED = "cryptography.x509.verification.VerificationError"
SERVER = x509.DNSName("a.example")

ENTRY_POINTS = (
    (x509.CertificateBuilder, "sign"),
    (x509.CertificateSigningRequestBuilder, "sign"),
    (x509.CertificateRevocationListBuilder, "sign"),
    (x509.Certificate, "verify_directly_issued_by"),
    (ocsp.OCSPResponseBuilder, "sign"),
    (verification.ServerVerifier, "verify"),
    (verification.ClientVerifier, "verify"),
    (pkcs7.PKCS7SignatureBuilder, "sign"),
)


class TestIssuance:
    def test_certificate_is_unchanged(self, recorded: Recorded, authority: Any) -> None:
        certificate = authority.sign(authority.builder())
        assert type(certificate) is x509.Certificate
        assert x509.load_der_x509_certificate(certificate.public_bytes(Encoding.DER)) == certificate
        assert recorded() == [("issuance", "success")]

    def test_authority(self, recorded: Recorded, authority: Any) -> None:
        authority.sign(authority.ca_builder())
        assert recorded() == [("issuance", "success", "ca")]

    @pytest.mark.parametrize(
        ("purpose", "kind"),
        [
            (ExtendedKeyUsageOID.SERVER_AUTH, "tls_server"),
            (ExtendedKeyUsageOID.CLIENT_AUTH, "tls_client"),
            (ExtendedKeyUsageOID.CODE_SIGNING, "code_signing"),
            (ExtendedKeyUsageOID.EMAIL_PROTECTION, "email_protection"),
            (ExtendedKeyUsageOID.TIME_STAMPING, "time_stamping"),
            (ExtendedKeyUsageOID.OCSP_SIGNING, "ocsp_signing"),
        ],
    )
    def test_single_purpose_is_the_type(
        self, recorded: Recorded, authority: Any, purpose: x509.ObjectIdentifier, kind: str
    ) -> None:
        authority.sign(authority.tls_builder(purpose).add_extension(x509.BasicConstraints(False, None), critical=True))
        assert recorded() == [("issuance", "success", kind)]

    def test_type_of_an_extension_that_the_service_encoded_itself(self, recorded: Recorded, authority: Any) -> None:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
        encoded = x509.UnrecognizedExtension(ExtensionOID.EXTENDED_KEY_USAGE, purpose.public_bytes())
        authority.sign(authority.builder().add_extension(encoded, critical=False))
        assert recorded() == [("issuance", "success", "code_signing")]

    def test_malformed_extension_of_an_authority_gives_no_type(self, recorded: Recorded, authority: Any) -> None:
        malformed = x509.UnrecognizedExtension(ExtensionOID.EXTENDED_KEY_USAGE, b"\x30\x01")
        authority.sign(authority.ca_builder().add_extension(malformed, critical=False))
        assert recorded() == [("issuance", "success")]

    def test_type_is_read_from_the_certificate_if_the_builder_does_not_show_its_extensions(
        self, authority: Any
    ) -> None:
        # Of cryptography 45 to 50, a private list that a later version may not have.
        assert type(authority.ca_builder()._extensions) is list
        assert issued_certificate_type(authority.certificate, object()) == "ca"

    @pytest.mark.parametrize(
        "purposes",
        [
            [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CODE_SIGNING],
            [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE],
            [x509.ObjectIdentifier("1.2.3.4.5")],
        ],
    )
    def test_other_purposes_give_no_type(self, recorded: Recorded, authority: Any, purposes: Any) -> None:
        authority.sign(authority.builder().add_extension(x509.ExtendedKeyUsage(purposes), critical=False))
        assert recorded() == [("issuance", "success")]

    def test_both_tls_purposes_are_a_server_certificate(self, recorded: Recorded, authority: Any) -> None:
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        authority.sign(authority.builder().add_extension(purposes, critical=False))
        assert recorded() == [("issuance", "success", "tls_server")]

    def test_malformed_extension_gives_no_type(self, recorded: Recorded, authority: Any) -> None:
        garbage = x509.UnrecognizedExtension(ExtensionOID.BASIC_CONSTRAINTS, b"garbage")
        certificate = authority.sign(authority.builder().add_extension(garbage, critical=False))
        assert recorded() == [("issuance", "success")]
        with pytest.raises(ValueError, match="parsing"):
            _ = certificate.extensions

    def test_exception_propagates_unchanged(self, recorded: Recorded, authority: Any) -> None:
        with pytest.raises(ValueError, match="must have a subject name") as raised:
            x509.CertificateBuilder().sign(authority.key, SHA256)
        assert raised.value.__context__ is None
        assert recorded() == [("issuance", "error", "ValueError")]

    def test_unbound_method_call(self, recorded: Recorded, authority: Any) -> None:
        x509.CertificateBuilder.sign(authority.builder(), private_key=authority.key, algorithm=SHA256)
        assert recorded() == [("issuance", "success")]

    def test_subclass_counts_once(self, recorded: Recorded, authority: Any) -> None:
        class Builder(x509.CertificateBuilder):
            def sign(self, *args: Any, **kwargs: Any) -> x509.Certificate:
                return super().sign(*args, **kwargs)

        name = authority.name
        start, end = datetime(2020, 1, 1, tzinfo=timezone.utc), datetime(2040, 1, 1, tzinfo=timezone.utc)
        Builder(name, name, authority.key.public_key(), 1, start, end).sign(authority.key, SHA256)
        assert recorded() == [("issuance", "success")]

    def test_concurrent_threads(self, recorded: Recorded, authority: Any) -> None:
        def issue() -> None:
            for _ in range(25):
                authority.sign(authority.builder())

        threads = [threading.Thread(target=issue) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert recorded() == [("issuance", "success")] * 100


class TestSigning:
    def test_request(self, recorded: Recorded, authority: Any) -> None:
        request = x509.CertificateSigningRequestBuilder().subject_name(authority.name).sign(authority.key, SHA256)
        assert request.is_signature_valid
        assert recorded() == [("signing", "success")]

    def test_revocation_list(self, recorded: Recorded, authority: Any) -> None:
        now = datetime.now(timezone.utc)
        revoked = x509.RevokedCertificateBuilder().serial_number(7).revocation_date(now).build()
        crl = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(authority.name)
            .last_update(now)
            .next_update(now)
            .add_revoked_certificate(revoked)
            .sign(authority.key, SHA256)
        )
        assert crl.is_signature_valid(authority.key.public_key())
        assert recorded() == [("signing", "success")]

    def test_ocsp_response(self, recorded: Recorded, authority: Any, stranger: Any) -> None:
        now = datetime.now(timezone.utc)
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=stranger.certificate,
            issuer=authority.certificate,
            algorithm=SHA256,
            cert_status=ocsp.OCSPCertStatus.GOOD,
            this_update=now,
            next_update=None,
            revocation_time=None,
            revocation_reason=None,
        )
        with pytest.raises(ValueError, match="responder_id"):
            builder.sign(authority.key, SHA256)
        response = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, authority.certificate).sign(
            authority.key, SHA256
        )
        assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
        ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
        assert recorded() == [("signing", "error", "ValueError"), ("signing", "success")]

    def test_document(self, recorded: Recorded, authority: Any) -> None:
        signed = (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(b"document")
            .add_signer(authority.certificate, authority.key, SHA256)
            .sign(Encoding.DER, [pkcs7.PKCS7Options.Binary])
        )
        assert pkcs7.load_der_pkcs7_certificates(signed) == [authority.certificate]
        assert recorded() == [("signing", "success")]


class TestChain:
    def test_valid_server(self, recorded: Recorded, authority: Any) -> None:
        leaf = authority.sign(authority.tls_builder())
        verifier = authority.policy().build_server_verifier(SERVER)
        assert type(verifier) is verification.ServerVerifier
        assert verifier.verify(leaf, []) == [leaf, authority.certificate]
        assert verifier.verify(intermediates=[], leaf=leaf) == [leaf, authority.certificate]
        assert recorded()[1:] == [("validation", "success")] * 2

    def test_valid_client(self, recorded: Recorded, authority: Any) -> None:
        leaf = authority.sign(authority.tls_builder(ExtendedKeyUsageOID.CLIENT_AUTH))
        verified = authority.policy().build_client_verifier().verify(leaf, [])
        assert type(verified) is verification.VerifiedClient
        assert verified.chain[0] == leaf
        assert recorded()[1:] == [("validation", "success")]

    @pytest.mark.parametrize("positional", [True, False])
    @pytest.mark.parametrize(
        ("since", "until", "reason"), [(-9, -1, "expired"), (1, 9, "not_yet_valid"), (-1, 1, REFUSED)]
    )
    def test_reason_of_a_refusal_comes_from_the_dates(
        self, instrumented: Any, stranger: Any, authority: Any, since: int, until: int, reason: str, positional: bool
    ) -> None:
        leaf = authority.sign(authority.tls_builder(ExtendedKeyUsageOID.CLIENT_AUTH, since=since, until=until))
        verifier = stranger.policy().build_client_verifier()
        with pytest.raises(verification.VerificationError) as raised:
            _ = verifier.verify(leaf, []) if positional else verifier.verify(intermediates=[], leaf=leaf)
        assert raised.value.__context__ is None
        validation = {"trust.certificate.operation": "validation"}
        ((labels, _),) = instrumented.series("trust.certificate.operation.duration", validation)
        assert labels == {**validation, "trust.outcome": "failure", "error.type": reason}

    def test_expired_certificate_of_a_trusted_issuer(self, recorded: Recorded, authority: Any) -> None:
        leaf = authority.sign(authority.tls_builder(since=-9, until=-1))
        with pytest.raises(verification.VerificationError):
            authority.policy().build_server_verifier(SERVER).verify(leaf, [])
        assert recorded()[1:] == [("validation", "failure", "expired")]

    def test_reason_follows_the_time_of_the_policy(self, recorded: Recorded, authority: Any) -> None:
        leaf = authority.sign(authority.tls_builder())
        policy = verification.PolicyBuilder().store(verification.Store([authority.certificate]))
        later = policy.time(datetime(2100, 1, 1, tzinfo=timezone.utc))
        with pytest.raises(verification.VerificationError):
            later.build_server_verifier(SERVER).verify(leaf, [])
        assert recorded()[1:] == [("validation", "failure", "expired")]

    def test_date_that_python_does_not_have(self, recorded: Recorded, authority: Any) -> None:
        builder = x509.CertificateBuilder(
            authority.name,
            authority.name,
            authority.key.public_key(),
            5,
            NOW,
            datetime(9999, 12, 31, tzinfo=timezone.utc),
        )
        data = authority.sign(builder).public_bytes(Encoding.DER).replace(b"9999", b"0000", 1)
        leaf = x509.load_der_x509_certificate(data)
        with pytest.raises(verification.VerificationError):
            authority.policy().build_server_verifier(SERVER).verify(leaf, [])
        assert recorded()[1:] == [("validation", "failure", REFUSED)]

    def test_other_server(self, recorded: Recorded, authority: Any) -> None:
        leaf = authority.sign(authority.tls_builder())
        with pytest.raises(verification.VerificationError):
            authority.policy().build_server_verifier(x509.DNSName("b.example")).verify(leaf, [])
        assert recorded()[1:] == [("validation", "failure", REFUSED)]

    @pytest.mark.parametrize("arguments", [{}, {"leaf": 1, "intermediates": []}, {"function": 1}, {"error": 1}])
    def test_wrong_arguments_are_an_error_of_the_caller(
        self, recorded: Recorded, authority: Any, arguments: Any
    ) -> None:
        verifier = authority.policy().build_client_verifier()
        with pytest.raises(TypeError) as raised:
            verifier.verify(**arguments)
        assert raised.value.__context__ is None
        assert recorded() == [("validation", "error", "TypeError")]

    def test_validation_within_a_validation_counts_once_and_is_active_once(
        self, instrumented: Any, recorded: Recorded, authority: Any
    ) -> None:
        leaf = authority.sign(authority.tls_builder())
        seen = []

        def check(_policy: object, certificate: x509.Certificate, _extension: object) -> None:
            certificate.verify_directly_issued_by(authority.certificate)
            seen.append(instrumented.value("trust.certificate.operation.active"))

        ends = verification.ExtensionPolicy.webpki_defaults_ee().require_present(
            x509.SubjectAlternativeName, verification.Criticality.AGNOSTIC, check
        )
        policy = authority.policy().extension_policies(
            ca_policy=verification.ExtensionPolicy.webpki_defaults_ca(), ee_policy=ends
        )
        policy.build_server_verifier(SERVER).verify(leaf, [])
        assert seen == [1]
        assert recorded()[1:] == [("validation", "success")]


class TestDirectIssuer:
    def test_issued(self, recorded: Recorded, authority: Any) -> None:
        authority.certificate.verify_directly_issued_by(authority.certificate)
        assert recorded() == [("validation", "success")]

    @pytest.mark.parametrize("positional", [True, False])
    def test_issuer_of_another_name(self, recorded: Recorded, authority: Any, stranger: Any, positional: bool) -> None:
        issuer = stranger.certificate
        with pytest.raises(ValueError, match="does not match"):
            _ = (
                authority.certificate.verify_directly_issued_by(issuer)
                if positional
                else authority.certificate.verify_directly_issued_by(issuer=issuer)
            )
        assert recorded() == [("validation", "failure", "issuer_mismatch")]

    @pytest.mark.parametrize("invalid", ["issuer", "subject"])
    def test_invalid_name(self, recorded: Recorded, authority: Any, invalid: str) -> None:
        data = authority.certificate.public_bytes(Encoding.DER)
        broken = x509.load_der_x509_certificate(data.replace(b"authority", b"\xff" * 9))
        certificate, issuer = (
            (broken, authority.certificate) if invalid == "issuer" else (authority.certificate, broken)
        )
        with pytest.raises(ValueError):  # noqa: PT011 - the message depends on the version
            certificate.verify_directly_issued_by(issuer)
        assert recorded() == [("validation", "error", "ValueError")]

    @pytest.mark.parametrize(
        ("key", "algorithm"),
        [
            (ec.generate_private_key(ec.BrainpoolP256R1()), SHA256),
            (ec.generate_private_key(ec.SECP256K1()), SHA256),
            (ed25519.Ed25519PrivateKey.generate(), None),
            (ed448.Ed448PrivateKey.generate(), None),
        ],
    )
    def test_key_types(self, recorded: Recorded, authority: Any, key: Any, algorithm: Any) -> None:
        builder = x509.CertificateBuilder(authority.name, authority.name, key.public_key(), 5, NOW, NOW)
        certificate = builder.add_extension(x509.BasicConstraints(True, None), True).sign(key, algorithm)
        certificate.verify_directly_issued_by(certificate)
        assert recorded() == [("issuance", "success", "ca"), ("validation", "success")]

    def test_signature_of_another_key(self, recorded: Recorded, authority: Any) -> None:
        impostor = type(authority)("authority")
        with pytest.raises(InvalidSignature):
            impostor.certificate.verify_directly_issued_by(authority.certificate)
        assert recorded()[-1] == ("validation", "failure", "cryptography.exceptions.InvalidSignature")

    @pytest.mark.parametrize("arguments", [{}, {"issuer": None}, {"error": 1}])
    def test_wrong_arguments_are_an_error_of_the_caller(
        self, recorded: Recorded, authority: Any, arguments: Any
    ) -> None:
        with pytest.raises(TypeError):
            authority.certificate.verify_directly_issued_by(**arguments)
        assert recorded() == [("validation", "error", "TypeError")]


class TestClasses:
    def test_classes_look_unchanged(self, recording: Any) -> None:
        before = {owner: (inspect.signature(getattr(owner, name)), owner.__mro__) for owner, name in ENTRY_POINTS}
        CryptographyInstrumentor().instrument(metrics=recording.metrics)
        try:
            for owner, name in ENTRY_POINTS:
                method = getattr(owner, name)
                assert (inspect.signature(method), owner.__mro__) == before[owner]
                assert method.__name__ == name
            for builder in (x509.CertificateBuilder, ocsp.OCSPResponseBuilder, verification.PolicyBuilder):
                assert pickle.loads(pickle.dumps(builder)) is builder
        finally:
            CryptographyInstrumentor().uninstrument()

    def test_uninstrument_restores_the_methods(self, recording: Any, authority: Any) -> None:
        before = [vars(owner)[name] for owner, name in ENTRY_POINTS]
        instrumentor = CryptographyInstrumentor()
        for _ in range(2):
            instrumentor.instrument(metrics=recording.metrics)
            assert all(
                vars(owner)[name] is not plain for (owner, name), plain in zip(ENTRY_POINTS, before, strict=True)
            )
            authority.sign(authority.builder())
            instrumentor.uninstrument()
            assert [vars(owner)[name] for owner, name in ENTRY_POINTS] == before
        authority.sign(authority.builder())
        assert recording.value("trust.certificate.operation.duration") == 2

    def test_later_wrapper_is_kept_and_nothing_is_recorded(
        self, recording: Any, authority: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[str] = []
        monkeypatch.setattr(x509.CertificateBuilder, "sign", vars(x509.CertificateBuilder)["sign"])
        CryptographyInstrumentor().instrument(metrics=recording.metrics)

        def theirs(wrapped: Any, instance: object, args: Any, kwargs: Any) -> Any:
            calls.append("theirs")
            return wrapped(*args, **kwargs)

        wrap_function_wrapper(x509.CertificateBuilder, "sign", theirs)
        CryptographyInstrumentor().uninstrument()
        authority.sign(authority.builder())
        assert calls == ["theirs"]
        assert recording.labels("trust.certificate.operation.duration") == []

    def test_methods_that_are_missing_or_cannot_be_patched_are_skipped(
        self, recording: Any, authority: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Closed(type):
            def __setattr__(cls, name: str, value: object) -> None:
                raise TypeError("immutable")

        class ClientVerifier(metaclass=Closed):
            def verify(self) -> None:
                pass

        monkeypatch.delattr(x509, "CertificateRevocationListBuilder")
        monkeypatch.delattr(pkcs7.PKCS7SignatureBuilder, "sign")
        monkeypatch.setattr(verification, "ClientVerifier", ClientVerifier)
        with caplog.at_level(logging.DEBUG, "trust_otel"):
            CryptographyInstrumentor().instrument(metrics=recording.metrics)
        try:
            authority.sign(authority.builder())
        finally:
            CryptographyInstrumentor().uninstrument()
        assert recording.value("trust.certificate.operation.duration") == 1
        lines = [record.getMessage().split(" is not measured")[0] for record in caplog.records]
        assert sorted(lines) == [
            "trust-otel: cryptography.hazmat.primitives.serialization.pkcs7.PKCS7SignatureBuilder.sign",
            "trust-otel: cryptography.x509.CertificateRevocationListBuilder.sign",
            "trust-otel: cryptography.x509.verification.ClientVerifier.verify",
        ]
        assert {record.levelname for record in caplog.records} == {"DEBUG"}

    def test_certificates_are_not_kept_in_memory(self, recorded: Recorded, authority: Any) -> None:
        leaf = authority.sign(authority.tls_builder(since=-9, until=-1))
        with pytest.raises(verification.VerificationError):
            authority.policy().build_server_verifier(SERVER).verify(leaf, [])
        gc.collect()
        # One reference in this frame, and one as the argument of the call.
        assert sys.getrefcount(leaf) == 2
