"""A certificate authority, certificates, tokens and passwords of one run; all of them private files."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import bcrypt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trust_ops.private_files import open_private

PROMETHEUS_USER: Final = "collector"

_TOKENS: Final = ("services", "agents", "metrics", "prometheus")
_LIFETIME: Final = timedelta(hours=6)


class Credentials:
    """The folder `tls` (`ca.crt`, `tls.crt`, `tls.key`) and the folder `tokens`, as a Secret has them."""

    def __init__(self, directory: Path, name: str = "trust-otel test CA") -> None:
        self.tls = directory / "tls"
        self.tokens = directory / "tokens"
        for each in (self.tls, self.tokens):
            each.mkdir(parents=True)
        self._write_certificates(name)
        for token in _TOKENS:
            _write(self.tokens / token, secrets.token_hex(24))

    def token(self, name: str) -> str:
        """The token in the file of that name."""
        return (self.tokens / name).read_text()

    def web_config(self, path: Path) -> Path:
        """Prometheus' file of TLS and users (`--web.config.file`)."""
        hashed = bcrypt.hashpw(self.token("prometheus").encode(), bcrypt.gensalt(4)).decode()
        _write(
            path,
            f"""\
tls_server_config:
  cert_file: {self.tls / "tls.crt"}
  key_file: {self.tls / "tls.key"}
  client_ca_file: {self.tls / "ca.crt"}
  client_auth_type: RequireAndVerifyClientCert
  min_version: TLS13
basic_auth_users:
  {PROMETHEUS_USER}: {hashed}
""",
        )
        return path

    def _write_certificates(self, name: str) -> None:
        authority_key = ec.generate_private_key(ec.SECP256R1())
        authority = _builder(name, name, authority_key.public_key())
        authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        key = ec.generate_private_key(ec.SECP256R1())
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
        member = _builder("trust-otel", name, key.public_key())
        member = member.add_extension(usages, critical=False).add_extension(names, critical=False)
        for file, certificate in (("ca.crt", authority), ("tls.crt", member)):
            signed = certificate.sign(authority_key, SHA256())
            _write(self.tls / file, signed.public_bytes(Encoding.PEM).decode())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(self.tls / "tls.key", pem.decode())


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _write(path: Path, text: str) -> None:
    with open(path, "w", opener=open_private) as file:
        file.write(text)
