"""What the authority issues and refuses, checked with `cryptography` and nothing of the service."""

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


def test_a_fresh_certificate_is_good_and_chains_to_the_root(authority: Authority) -> None:
    certificate = _issued(authority)
    _check_signature(certificate, authority.issuing)
    _check_signature(authority.issuing, authority.root)
    _check_signature(authority.root, authority.root)
    assert find_problem(authority, pem(certificate), "tls_server") is None


def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    certificate = _issued(authority, timedelta(seconds=1))
    assert find_problem(authority, pem(certificate), "tls_server") is None
    time.sleep(2)
    assert certificate.not_valid_after_utc < datetime.now(timezone.utc)
    assert find_problem(authority, pem(certificate), "tls_server") == "expired"


def test_a_revoked_certificate_is_refused_and_on_the_signed_revocation_list(authority: Authority) -> None:
    revoked, good = _issued(authority), _issued(authority)
    authority.revoke(revoked.serial_number)
    published = x509.load_der_x509_crl(authority.revocation_list())
    key = authority.issuing.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert published.is_signature_valid(key)
    assert published.get_revoked_certificate_by_serial_number(revoked.serial_number) is not None
    assert published.get_revoked_certificate_by_serial_number(good.serial_number) is None
    assert find_problem(authority, pem(revoked), "tls_server") == "revoked"
    assert find_problem(authority, pem(good), "tls_server") is None


def test_a_certificate_with_one_turned_bit_is_refused(authority: Authority) -> None:
    tampered = forged(pem(_issued(authority)))
    with pytest.raises(InvalidSignature):
        _check_signature(x509.load_pem_x509_certificate(tampered.encode()), authority.issuing)
    assert find_problem(authority, tampered, "tls_server") == "forged"


def test_no_byte_of_what_was_signed_can_be_changed_unnoticed(authority: Authority) -> None:
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
def test_what_the_authority_has_not_issued_is_refused(authority: Authority, certificate: str, problem: str) -> None:
    assert find_problem(authority, certificate, "tls_server") == problem


def test_a_certificate_of_another_run_is_forged(authority: Authority) -> None:
    assert find_problem(authority, pem(_issued(Authority())), "tls_server") == "forged"


def test_a_certificate_is_good_for_its_own_purpose_only(authority: Authority) -> None:
    client = pem(_issued(authority, certificate_type="tls_client"))
    assert find_problem(authority, client, "tls_client") is None
    assert find_problem(authority, client, "tls_server") == "wrong_type"


def test_an_authority_is_no_leaf(authority: Authority) -> None:
    assert find_problem(authority, pem(authority.issuing), "tls_server") == "untrusted"


def test_a_renewed_certificate_has_the_same_key_and_a_new_serial_number(authority: Authority) -> None:
    old = _issued(authority)
    renewed = authority.renew(old, "tls_server")
    assert renewed.public_key() == old.public_key()
    assert renewed.serial_number != old.serial_number
    assert find_problem(authority, pem(renewed), "tls_server") is None


async def test_a_signature_holds_for_what_was_signed_and_for_nothing_else(authority: Authority) -> None:
    signer = Signer(authority)
    signature = await signer.sign(b"a contract", "sha256")
    assert signature is not None
    assert signer.verify(b"a contract", signature, signer.pem, "sha256") is None
    assert signer.verify(b"another contract", signature, signer.pem, "sha256") == "bad_signature"
    assert signer.verify(b"a contract", b"", signer.pem, "sha256") == "bad_signature"
    assert signer.verify(b"a contract", signature, UNTRUSTED_CERTIFICATE, "sha256") == "untrusted"


async def test_nothing_is_signed_with_sha1(authority: Authority) -> None:
    signer = Signer(authority)
    assert await signer.sign(b"a contract", "sha1") is None
    signer.close()


def _ask(authority: Authority, certificate: x509.Certificate, issuer: x509.Certificate) -> ocsp.OCSPResponse:
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1()).build()
    return ocsp.load_der_ocsp_response(authority.status_response(request.public_bytes(Encoding.DER)))


def test_the_ocsp_responder_knows_good_revoked_and_unknown_certificates(authority: Authority) -> None:
    certificate = _issued(authority)
    assert _ask(authority, certificate, authority.issuing).certificate_status == ocsp.OCSPCertStatus.GOOD
    assert _ask(authority, authority.issuing, authority.root).certificate_status == ocsp.OCSPCertStatus.GOOD
    authority.revoke(certificate.serial_number)
    assert _ask(authority, certificate, authority.issuing).certificate_status == ocsp.OCSPCertStatus.REVOKED
    stranger = _issued(Authority())
    assert _ask(authority, stranger, authority.issuing).certificate_status == ocsp.OCSPCertStatus.UNKNOWN


def test_the_ocsp_responder_does_not_speak_for_others(authority: Authority) -> None:
    other = Authority()
    answer = _ask(authority, _issued(other), other.issuing)
    assert answer.response_status == ocsp.OCSPResponseStatus.UNAUTHORIZED
    with pytest.raises(ValueError):  # noqa: PT011 - cryptography words it
        authority.status_response(b"no request")


def test_published_certificates_are_whole_files_of_the_current_ones(authority: Authority, tmp_path: Path) -> None:
    signer = Signer(authority)
    publish(tmp_path / "certificates", authority, signer)
    signer.certify(timedelta(days=1))
    publish(tmp_path / "certificates", authority, signer)
    assert {path.name: path.read_text() for path in (tmp_path / "certificates").iterdir()} == {
        "root-ca.pem": pem(authority.root),
        "issuing-ca.pem": pem(authority.issuing),
        "document-signer.pem": signer.pem,
    }
    signer.close()
