"""A certificate authority that signs certificates, revocation lists and OCSP responses."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.now(timezone.utc).replace(microsecond=0)
DAY = timedelta(days=1)


def der(held: Any) -> bytes:
    return held.public_bytes(Encoding.DER)


def pem(*held: Any) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in held)


def key_pem(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def distinguished(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """A certificate authority with a self-signed certificate."""

    def __init__(self, name: str = "Test CA", key: Any = None, hash_algorithm: Any = SHA256()) -> None:  # noqa: B008
        self.name = distinguished(name)
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.hash_algorithm = hash_algorithm
        self.issued: dict[int, x509.Certificate] = {}
        self.certificate, _ = self.issue(name, key=self.key, ca=True, days=3650)

    def issue(
        self,
        name: str = "leaf",
        *,
        days: float = 365,
        begin: datetime = NOW - DAY,
        end: datetime | None = None,
        purposes: tuple[Any, ...] = (ExtendedKeyUsageOID.SERVER_AUTH,),
        ca: bool = False,
        key: Any = None,
        serial: int | None = None,
    ) -> tuple[x509.Certificate, Any]:
        """A certificate and its key."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder()
            .subject_name(distinguished(name))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(min(begin, NOW + days * DAY - DAY))
            .not_valid_after(end or NOW + days * DAY)
        )
        if ca:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        elif purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        certificate = builder.sign(self.key, self.hash_algorithm)
        self.issued[certificate.serial_number] = certificate
        return certificate, key

    def revocation_list(
        self,
        *revoked: x509.Certificate,
        next_update: datetime = NOW + DAY,
        reason: Any = None,
        indirect: bool = False,
        number: int | None = None,
    ) -> x509.CertificateRevocationList:
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        builder = builder.last_update(NOW - 2 * DAY).next_update(next_update)
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(NOW - DAY)
            if reason:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        if number is not None:
            builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        if indirect:
            point = x509.IssuingDistributionPoint(
                [x509.UniformResourceIdentifier("http://x.test")], None, *_NONE, True, False
            )
            builder = builder.add_extension(point, critical=True)
        return builder.sign(self.key, self.hash_algorithm)

    def answer(
        self,
        request: bytes,
        *,
        revoked: tuple[x509.Certificate, ...] = (),
        status: ocsp.OCSPCertStatus | None = None,
        this_update: datetime = NOW - timedelta(hours=1),
        next_update: datetime | None = NOW + DAY,
        about: x509.Certificate | None = None,
        signer: tuple[x509.Certificate, Any] | None = None,
    ) -> bytes:
        """The OCSP response of this authority to a request."""
        asked = ocsp.load_der_ocsp_request(request)
        is_revoked = asked.serial_number in {certificate.serial_number for certificate in revoked}
        status = status or (ocsp.OCSPCertStatus.REVOKED if is_revoked else ocsp.OCSPCertStatus.GOOD)
        certificate, key = signer or (self.certificate, self.key)
        subject = about or self.issued[asked.serial_number]
        builder = ocsp.OCSPResponseBuilder().add_response(
            subject,
            self.certificate,
            SHA1(),
            status,
            this_update,
            next_update,
            NOW - DAY if status is ocsp.OCSPCertStatus.REVOKED else None,
            None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, certificate)
        if signer:
            builder = builder.certificates([certificate])
        return der(builder.sign(key, self.hash_algorithm))


# No relative name, no restriction to end-entity or CA certificates, no restriction by reason.
_NONE = (False, False, None)


def write(path: Path, *parts: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # As tools that renew certificates do it: a running monitor never reads half a file.
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_bytes(b"".join(parts))
    return unfinished.replace(path)
