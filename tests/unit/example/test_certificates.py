"""The authority's certificates and validation results, verified with `cryptography` alone."""

from __future__ import annotations

import ssl
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from trust_service.authority import Authority, CertificateType, common_name, pem
from trust_service.certificate_folder import publish
from trust_service.signatures import Signer
from trust_service.timestamping import TimestampingAuthority
from trust_service.validation import find_problem

from testbed.load_generator.samples import UNTRUSTED_CERTIFICATE, forged


def _issued(
    authority: Authority, validity: timedelta = timedelta(days=1), certificate_type: CertificateType = "tls_server"
) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    return authority.issue(common_name("a.example"), key.public_key(), certificate_type, validity)


def _check_signature(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    key = issuer.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert certificate.signature_hash_algorithm is not None
    key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(certificate.signature_hash_algorithm))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def test_a_new_certificate_is_valid_and_chains_to_the_root(authority: Authority) -> None:
    certificate = _issued(authority)
    _check_signature(certificate, authority.issuing)
    _check_signature(authority.issuing, authority.root)
    _check_signature(authority.root, authority.root)
    assert find_problem(authority, pem(certificate), "tls_server") is None


def test_an_expired_certificate_is_rejected(authority: Authority) -> None:
    certificate = _issued(authority, timedelta(seconds=1))
    assert find_problem(authority, pem(certificate), "tls_server") is None
    time.sleep(2)
    assert certificate.not_valid_after_utc < datetime.now(timezone.utc)
    assert find_problem(authority, pem(certificate), "tls_server") == "expired"


def test_a_revoked_certificate_is_rejected_and_on_the_signed_revocation_list(authority: Authority) -> None:
    revoked, good = _issued(authority), _issued(authority)
    authority.revoke(revoked.serial_number)
    authority.publish_list()
    published = x509.load_der_x509_crl(authority.revocation_list)
    key = authority.issuing.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert published.is_signature_valid(key)
    assert published.get_revoked_certificate_by_serial_number(revoked.serial_number) is not None
    assert published.get_revoked_certificate_by_serial_number(good.serial_number) is None
    assert find_problem(authority, pem(revoked), "tls_server") == "revoked"
    assert find_problem(authority, pem(good), "tls_server") is None


def test_the_end_of_a_suspension_does_not_end_a_revocation(authority: Authority) -> None:
    certificate = _issued(authority)
    authority.unsuspend(certificate.serial_number)
    assert authority.revocation_of(certificate.serial_number) is None
    authority.revoke(certificate.serial_number)
    authority.unsuspend(certificate.serial_number)
    assert authority.revocation_of(certificate.serial_number) == "revoked"


def test_a_certificate_with_a_flipped_bit_is_rejected(authority: Authority) -> None:
    tampered = forged(pem(_issued(authority)))
    with pytest.raises(InvalidSignature):
        _check_signature(x509.load_pem_x509_certificate(tampered.encode()), authority.issuing)
    assert find_problem(authority, tampered, "tls_server") == "forged"


def test_a_change_of_any_signed_byte_is_detected(authority: Authority) -> None:
    certificate = _issued(authority)
    der, signed = certificate.public_bytes(Encoding.DER), certificate.tbs_certificate_bytes
    start = der.index(signed)
    for position in range(start, start + len(signed)):
        changed = bytearray(der)
        changed[position] ^= 0x01
        assert find_problem(authority, ssl.DER_cert_to_PEM_cert(bytes(changed)), "tls_server") is not None, position


@pytest.mark.parametrize(
    ("certificate", "problem"),
    [
        (UNTRUSTED_CERTIFICATE, "untrusted"),
        ("", "malformed"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "malformed"),
        ("\x00\ud7ff", "malformed"),
    ],
)
def test_untrusted_and_malformed_certificates_are_rejected(
    authority: Authority, certificate: str, problem: str
) -> None:
    assert find_problem(authority, certificate, "tls_server") == problem


def test_a_certificate_of_another_run_is_reported_as_forged(authority: Authority) -> None:
    assert find_problem(authority, pem(_issued(Authority())), "tls_server") == "forged"


def test_a_certificate_is_valid_for_its_own_type_only(authority: Authority) -> None:
    client = pem(_issued(authority, certificate_type="tls_client"))
    assert find_problem(authority, client, "tls_client") is None
    assert find_problem(authority, client, "tls_server") == "wrong_type"


def test_a_ca_certificate_is_not_accepted_as_a_leaf(authority: Authority) -> None:
    assert find_problem(authority, pem(authority.issuing), "tls_server") == "untrusted"


def test_a_renewed_certificate_has_the_same_key_and_a_new_serial_number(authority: Authority) -> None:
    old = _issued(authority)
    renewed = authority.renew(old, "tls_server")
    assert renewed.public_key() == old.public_key()
    assert renewed.serial_number != old.serial_number
    assert find_problem(authority, pem(renewed), "tls_server") is None


async def test_a_signature_is_valid_for_the_signed_content_only(authority: Authority) -> None:
    signer = Signer(authority)
    signature = await signer.sign(b"a contract", "sha256")
    assert signature is not None
    assert signer.verify(b"a contract", signature, signer.pem, "sha256") is None
    assert signer.verify(b"another contract", signature, signer.pem, "sha256") == "bad_signature"
    assert signer.verify(b"a contract", b"", signer.pem, "sha256") == "bad_signature"
    assert signer.verify(b"a contract", signature, UNTRUSTED_CERTIFICATE, "sha256") == "untrusted"


async def test_signing_with_sha1_is_rejected(authority: Authority) -> None:
    signer = Signer(authority)
    assert await signer.sign(b"a contract", "sha1") is None
    signer.close()


def _ocsp_response(authority: Authority, certificate: x509.Certificate, issuer: x509.Certificate) -> ocsp.OCSPResponse:
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1()).build()
    return ocsp.load_der_ocsp_response(authority.status_response(request.public_bytes(Encoding.DER)))


def test_the_ocsp_responder_returns_good_revoked_or_unknown(authority: Authority) -> None:
    certificate = _issued(authority)
    assert _ocsp_response(authority, certificate, authority.issuing).certificate_status == ocsp.OCSPCertStatus.GOOD
    assert _ocsp_response(authority, authority.issuing, authority.root).certificate_status == ocsp.OCSPCertStatus.GOOD
    authority.revoke(certificate.serial_number)
    authority.publish_status()
    assert _ocsp_response(authority, certificate, authority.issuing).certificate_status == ocsp.OCSPCertStatus.REVOKED
    unknown = _issued(Authority())
    assert _ocsp_response(authority, unknown, authority.issuing).certificate_status == ocsp.OCSPCertStatus.UNKNOWN


def test_the_ocsp_responder_rejects_other_issuers_and_invalid_requests(authority: Authority) -> None:
    other = Authority()
    answer = _ocsp_response(authority, _issued(other), other.issuing)
    assert answer.response_status == ocsp.OCSPResponseStatus.UNAUTHORIZED
    with pytest.raises(ValueError):  # noqa: PT011 - cryptography chooses the message
        authority.status_response(b"no request")


def test_published_files_contain_the_current_certificates(authority: Authority, tmp_path: Path) -> None:
    signer, timestamping = Signer(authority), TimestampingAuthority(authority, lambda: True)
    publish(tmp_path / "certificates", authority, signer, timestamping)
    signer.certify(timedelta(days=1))
    timestamping.renew()
    publish(tmp_path / "certificates", authority, signer, timestamping)
    assert {path.name: path.read_text() for path in (tmp_path / "certificates").iterdir()} == {
        "root-ca.pem": pem(authority.root),
        "issuing-ca.pem": pem(authority.issuing),
        "ocsp-responder.pem": pem(authority.responder),
        "document-signer.pem": signer.pem,
        "timestamping.pem": timestamping.pem,
    }
    signer.close()
