"""Certificate authorities, and the recording of `cryptography` operations."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from trust_otel.instrumentation.cryptography import CryptographyInstrumentor

_NOW = datetime.now(timezone.utc)
_SHA256 = hashes.SHA256()
_USAGES = (
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "encipher_only",
    "decipher_only",
)


class Authority:
    """An issuer with its key and certificate."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self.sign(self.ca_builder())

    def builder(self, subject: x509.Name | None = None, *, since: int = -1, until: int = 1) -> x509.CertificateBuilder:
        """A certificate without extensions; validity in days from now."""
        return (
            x509.CertificateBuilder()
            .subject_name(subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "subject")]))
            .issuer_name(self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW + timedelta(days=since))
            .not_valid_after(_NOW + timedelta(days=until))
        )

    def ca_builder(self) -> x509.CertificateBuilder:
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, **dict.fromkeys(_USAGES, False)
        )
        return (
            self.builder(self.name, since=-100, until=100)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
        )

    def tls_builder(
        self, purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH, **validity: Any
    ) -> x509.CertificateBuilder:
        """A certificate for `a.example`."""
        return (
            self.builder(**validity)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example")]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.sign(self.key, _SHA256)

    def policy(self) -> PolicyBuilder:
        return PolicyBuilder().store(Store([self.certificate])).time(_NOW)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("authority")


@pytest.fixture(scope="module")
def stranger() -> Authority:
    return Authority("stranger")


@pytest.fixture
def instrumented(recording: Any, authority: Authority, stranger: Authority) -> Iterator[Any]:
    """The recording of every call from now on."""
    CryptographyInstrumentor().instrument(metrics=recording.metrics)
    yield recording
    CryptographyInstrumentor().uninstrument()
    assert recording.value("trust.certificate.operation.active") == 0
    assert recording.dropped() == {}


@pytest.fixture
def recorded(instrumented: Any) -> Callable[[], list[tuple[str, ...]]]:
    """Recorded operations: operation, outcome, and reason and type if any."""

    def read() -> list[tuple[str, ...]]:
        names = ("trust.certificate.operation", "trust.outcome", "error.type", "trust.certificate.type")
        return sorted(
            tuple(labels[name] for name in names if name in labels)
            for labels, point in instrumented.series("trust.certificate.operation.duration")
            for _ in range(point.count)
        )

    return read
