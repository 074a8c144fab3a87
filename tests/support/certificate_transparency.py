"""Certificates with SCTs."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache

from asn1crypto.core import OctetString
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtensionOID, NameOID


@lru_cache
def certificate_with_scts(number: int | None) -> x509.Certificate:
    """A certificate with an SCT list of this length; without the extension if it is `None`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.com")])
    now = datetime.now(timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
    )
    if number is not None:
        # Version, log, timestamp, extensions, signature (RFC 6962, 3.2 and 3.3).
        sct = bytes(1) + bytes(32) + bytes(8) + bytes(2) + b"\x04\x03\x00\x01\x00"
        entries = b"".join(len(sct).to_bytes(2, "big") + sct for _ in range(number))
        value = OctetString(len(entries).to_bytes(2, "big") + entries).dump()
        oid = ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
    return builder.sign(key, SHA256())
