"""A certificate authority in memory: a root and an issuing CA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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

from trust_otel import get_metrics

metrics = get_metrics()

CertificateType = Literal["DSC", "tls_server", "tls_client", "document_signer"]

RevocationReason = Literal[
    "unspecified",
    "keyCompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "privilegeWithdrawn",
    "certificateHold",
    "removeFromCRL",
]
"""Reason codes of RFC 5280, 5.3.1; `certificateHold` suspends a certificate, and `removeFromCRL` ends that."""

PURPOSES: dict[CertificateType, x509.ObjectIdentifier] = {
    "DSC": x509.ObjectIdentifier("2.23.136.1.1.1"),  # ICAO: signs the security object of a passport
    "tls_server": ExtendedKeyUsageOID.SERVER_AUTH,
    "tls_client": ExtendedKeyUsageOID.CLIENT_AUTH,
    "document_signer": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36"),  # RFC 9336
}

PROFILES: dict[CertificateType, str] = {
    "DSC": "icao-dsc",
    "tls_server": "tls-ov",
    "tls_client": "tls-client",
    "document_signer": "qcp-l",  # ETSI EN 319 411-2
}

_STATUS_LIFETIME = timedelta(hours=1)
_RESPONDER_VALIDITY = timedelta(days=180)


class RevocationUnknownError(RuntimeError):
    """The revocation status of a certificate is unknown."""


@dataclass(frozen=True)
class _Revocation:
    at: datetime
    reason: x509.ReasonFlags


@dataclass(frozen=True)
class _Published:
    """What the OCSP responder knows."""

    at: datetime
    revoked: Mapping[int, _Revocation]


class Authority:
    """Issues and revokes certificates, and publishes which ones are revoked.

    Attributes:
        reachable: Whether its endpoints respond.
        knows_revoked: Whether its revocation records are available.
        list_age: Age of a revocation list when it is published.
        status_age: Age of the OCSP responder's state when it is published.
        responder: Certificate of the OCSP responder for certificates of the issuing CA.
    """

    def __init__(self) -> None:
        self.reachable = True
        self.knows_revoked = True
        self.list_age = self.status_age = timedelta(0)
        root_key, self._key = new_key("root-ca"), new_key("issuing-ca")
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
        self._issued = {self.issuing.serial_number, self.root.serial_number}
        self._revoked: dict[int, _Revocation] = {}
        self._list_numbers = count(1)
        responder_key = new_key("ocsp-responder")
        self.responder = self._issue_responder(responder_key.public_key())
        self._responders = ((self.issuing, self.responder, responder_key), (self.root, self.root, root_key))
        self.publish_list()
        self.publish_status()

    def issue(
        self,
        subject: x509.Name,
        public_key: CertificatePublicKeyTypes,
        certificate_type: CertificateType,
        validity: timedelta,
    ) -> x509.Certificate:
        purpose = x509.ExtendedKeyUsage([PURPOSES[certificate_type]])
        return self._issue(_end_entity(self.issuing, subject, public_key, validity, purpose))

    def issue_timestamping(self, public_key: CertificatePublicKeyTypes, validity: timedelta) -> x509.Certificate:
        """Issue a certificate for a timestamping authority, whose only purpose is critical (RFC 3161, 2.3)."""
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        subject = common_name("Trust Service Demo TSA")
        return self._issue(_end_entity(self.issuing, subject, public_key, validity, purpose, critical=True))

    def _issue(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        certificate = _sign(builder, self._key)
        self._issued.add(certificate.serial_number)
        return certificate

    def renew(self, old: x509.Certificate, certificate_type: CertificateType) -> x509.Certificate:
        """Issue a new certificate for the same key and subject, with the same validity."""
        validity = old.not_valid_after_utc - old.not_valid_before_utc
        return self.issue(old.subject, old.public_key(), certificate_type, validity)

    def revoke(self, serial_number: int, reason: RevocationReason = "unspecified") -> None:
        """Revoke a certificate, or suspend it (`certificateHold`); relying parties see it once it is published."""
        self._revoked[serial_number] = _Revocation(datetime.now(timezone.utc), x509.ReasonFlags(reason))

    def unsuspend(self, serial_number: int) -> None:
        """End a suspension; a revocation stays, even if it was decided at the same time."""
        revocation = self._revoked.get(serial_number)
        if revocation is not None and revocation.reason is x509.ReasonFlags.certificate_hold:
            del self._revoked[serial_number]

    def revocation_of(self, serial_number: int) -> Literal["revoked", "suspended"] | None:
        """Whether the certificate is revoked or suspended.

        Raises:
            RevocationUnknownError: The revocation records are not available.
        """
        if not self.knows_revoked:
            raise RevocationUnknownError
        revocation = self._revoked.get(serial_number)
        if revocation is None:
            return None
        return "suspended" if revocation.reason is x509.ReasonFlags.certificate_hold else "revoked"

    def publish_list(self) -> None:
        """Publish a revocation list with the next number."""
        with metrics.certificate_operation("crl_publication"):
            self.revocation_list = self._signed_list()

    def publish_status(self) -> None:
        """Let the OCSP responder know all revocations."""
        self._published = _Published(datetime.now(timezone.utc) - self.status_age, self._revoked.copy())

    def _signed_list(self) -> bytes:
        """A revocation list (RFC 5280), in DER."""
        issued_at = datetime.now(timezone.utc) - self.list_age
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.issuing.subject)
            .last_update(issued_at)
            .next_update(issued_at + _STATUS_LIFETIME)
            .add_extension(x509.CRLNumber(next(self._list_numbers)), critical=False)
        )
        for serial_number, revocation in self._revoked.items():
            builder = builder.add_revoked_certificate(_list_entry(serial_number, revocation))
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.DER)

    def status_response(self, request: bytes) -> bytes:
        """The response to an OCSP request (RFC 6960), both in DER.

        Raises:
            ValueError: Not a request for one certificate.
        """
        with metrics.certificate_operation("ocsp_response") as op:
            try:
                asked = ocsp.load_der_ocsp_request(request)
                for issuer, responder, key in self._responders:
                    if asked.issuer_key_hash == _key_hash(issuer, asked.hash_algorithm):
                        answer = self._status(asked, responder)
                        return answer.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
            except ValueError:
                op.fail("malformed")
                raise
            op.fail("unauthorized")
            refusal = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
            return refusal.public_bytes(Encoding.DER)

    def _status(self, asked: ocsp.OCSPRequest, responder: x509.Certificate) -> ocsp.OCSPResponseBuilder:
        published = self._published
        revocation = published.revoked.get(asked.serial_number)
        if revocation is not None:
            status = ocsp.OCSPCertStatus.REVOKED
        elif asked.serial_number in self._issued:
            status = ocsp.OCSPCertStatus.GOOD
        else:
            status = ocsp.OCSPCertStatus.UNKNOWN
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            issuer_name_hash=asked.issuer_name_hash,
            issuer_key_hash=asked.issuer_key_hash,
            serial_number=asked.serial_number,
            algorithm=asked.hash_algorithm,
            cert_status=status,
            this_update=published.at,
            next_update=published.at + _STATUS_LIFETIME,
            revocation_time=None if revocation is None else revocation.at,
            revocation_reason=None if revocation is None else revocation.reason,
        )
        return builder.certificates([responder]).responder_id(ocsp.OCSPResponderEncoding.HASH, responder)

    def _issue_responder(self, public_key: CertificatePublicKeyTypes) -> x509.Certificate:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
        subject = common_name("Trust Service Demo OCSP Responder")
        builder = _end_entity(self.issuing, subject, public_key, _RESPONDER_VALIDITY, purpose)
        # Its own status is not checked (RFC 6960, 4.2.2.2.1).
        return self._issue(builder.add_extension(x509.OCSPNoCheck(), critical=False))


def _list_entry(serial_number: int, revocation: _Revocation) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(serial_number).revocation_date(revocation.at)
    # RFC 5280, 5.3.1: rather absent than unspecified.
    if revocation.reason is not x509.ReasonFlags.unspecified:
        builder = builder.add_extension(x509.CRLReason(revocation.reason), critical=False)
    return builder.build()


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


def new_key(profile: str) -> ec.EllipticCurvePrivateKey:
    """A new key for certificates of a profile."""
    with metrics.certificate_operation("key_generation", profile=profile):
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


def _end_entity(
    issuer: x509.Certificate,
    subject: x509.Name,
    public_key: CertificatePublicKeyTypes,
    validity: timedelta,
    purpose: x509.ExtendedKeyUsage,
    *,
    critical: bool = False,
) -> x509.CertificateBuilder:
    return (
        _certificate(subject, issuer.subject, public_key, validity)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(purpose, critical=critical)
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
