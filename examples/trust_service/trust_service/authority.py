"""A certificate authority in memory: a root and an issuing CA."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import count
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CertificateType = Literal["DSC", "tls_server", "tls_client", "document_signer"]

PURPOSES: dict[CertificateType, x509.ObjectIdentifier] = {
    "DSC": x509.ObjectIdentifier("2.23.136.1.1.1"),  # ICAO: signs the security object of a passport
    "tls_server": ExtendedKeyUsageOID.SERVER_AUTH,
    "tls_client": ExtendedKeyUsageOID.CLIENT_AUTH,
    "document_signer": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36"),  # RFC 9336
}


_STATUS_LIFETIME = timedelta(hours=1)


class RevocationUnknownError(RuntimeError):
    """The revocation status of a certificate is unknown."""


class Authority:
    """Issues and revokes certificates.

    Attributes:
        reachable: Whether its endpoints respond.
        knows_revoked: Whether its revocation records are available.
        list_lifetime: Validity of a revocation list.
    """

    def __init__(self) -> None:
        self.reachable = True
        self.knows_revoked = True
        self.list_lifetime = _STATUS_LIFETIME
        root_key, self._key = new_key(), new_key()
        name = common_name("Trust Service Demo Root CA")
        self.root = _sign(
            _authority(name, name, root_key.public_key(), timedelta(days=3650), path_length=1),
            root_key,
        )
        self.issuing = _sign(
            _authority(
                common_name("Trust Service Demo Issuing CA"),
                name,
                self._key.public_key(),
                timedelta(days=1825),
                path_length=0,
            ),
            root_key,
        )
        self._issuers = ((self.issuing, self._key), (self.root, root_key))
        self._issued = {self.issuing.serial_number, self.root.serial_number}
        self._revoked: dict[int, datetime] = {}
        self._list_numbers = count(1)

    def issue(
        self,
        subject: x509.Name,
        public_key: CertificatePublicKeyTypes,
        certificate_type: CertificateType,
        validity: timedelta,
    ) -> x509.Certificate:
        builder = (
            _certificate(subject, self.issuing.subject, public_key, validity)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([PURPOSES[certificate_type]]), critical=False)
        )
        certificate = _sign(builder, self._key)
        self._issued.add(certificate.serial_number)
        return certificate

    def renew(self, old: x509.Certificate, certificate_type: CertificateType) -> x509.Certificate:
        """Issue a new certificate for the same key and subject, with the same validity."""
        validity = old.not_valid_after_utc - old.not_valid_before_utc
        return self.issue(old.subject, old.public_key(), certificate_type, validity)

    def revoke(self, serial_number: int) -> None:
        self._revoked[serial_number] = datetime.now(timezone.utc)

    def is_revoked(self, serial_number: int) -> bool:
        """Whether the certificate is revoked.

        Raises:
            RevocationUnknownError: The revocation records are not available.
        """
        if not self.knows_revoked:
            raise RevocationUnknownError
        return serial_number in self._revoked

    def revocation_list(self) -> bytes:
        """The revocation list (RFC 5280), in DER."""
        now = datetime.now(timezone.utc)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.issuing.subject)
            .last_update(min(now, now + self.list_lifetime) - timedelta(seconds=1))
            .next_update(now + self.list_lifetime)
            .add_extension(x509.CRLNumber(next(self._list_numbers)), critical=False)
        )
        for serial_number, revoked_at in self._revoked.copy().items():
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial_number).revocation_date(revoked_at).build()
            )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.DER)

    def status_response(self, request: bytes) -> bytes:
        """The response to an OCSP request (RFC 6960), both in DER.

        Raises:
            ValueError: Not a request for one certificate.
        """
        asked = ocsp.load_der_ocsp_request(request)
        for issuer, key in self._issuers:
            if asked.issuer_key_hash == _key_hash(issuer, asked.hash_algorithm):
                answer = self._status(asked, issuer)
                return answer.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
        refusal = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
        return refusal.public_bytes(Encoding.DER)

    def _status(self, asked: ocsp.OCSPRequest, issuer: x509.Certificate) -> ocsp.OCSPResponseBuilder:
        now = datetime.now(timezone.utc)
        revoked_at = self._revoked.get(asked.serial_number)
        if revoked_at is not None:
            status = ocsp.OCSPCertStatus.REVOKED
        elif asked.serial_number in self._issued:
            status = ocsp.OCSPCertStatus.GOOD
        else:
            status = ocsp.OCSPCertStatus.UNKNOWN
        return (
            ocsp.OCSPResponseBuilder()
            .add_response_by_hash(
                issuer_name_hash=asked.issuer_name_hash,
                issuer_key_hash=asked.issuer_key_hash,
                serial_number=asked.serial_number,
                algorithm=asked.hash_algorithm,
                cert_status=status,
                this_update=now,
                next_update=now + _STATUS_LIFETIME,
                revocation_time=revoked_at,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, issuer)
        )


def _key_hash(issuer: x509.Certificate, algorithm: hashes.HashAlgorithm) -> bytes:
    """The issuer's key hash in an OCSP request (RFC 6960, 4.1.1)."""
    information = issuer.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    digest = hashes.Hash(algorithm)
    digest.update(information)
    return digest.finalize()


def common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _authority(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    validity: timedelta,
    *,
    path_length: int,
) -> x509.CertificateBuilder:
    return (
        _certificate(subject, issuer, public_key, validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
    )


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: CertificatePublicKeyTypes,
    validity: timedelta,
) -> x509.CertificateBuilder:
    now = datetime.now(timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + validity)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _sign(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return builder.sign(key, hashes.SHA256())
