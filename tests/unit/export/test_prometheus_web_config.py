"""TLS and users of the endpoint, from a web configuration file of exporter-toolkit."""

from __future__ import annotations

import base64
import builtins
import datetime as dt
import http.client
import logging
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from trust_otel.export.prometheus import web_config as web_config_module
from trust_otel.export.prometheus.application import Application
from trust_otel.export.prometheus.server import Server
from trust_otel.export.prometheus.web_config import WebConfig

_HASH = bcrypt.hashpw(b"pass:word", bcrypt.gensalt(4)).decode()
_OTHER_HASH = bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()
_NOW = dt.datetime.now(dt.timezone.utc)


@dataclass(frozen=True)
class Identity:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def write(self, folder: Path, name: str, password: bytes = b"") -> None:
        (folder / f"{name}.crt").write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        encryption: Any = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        pem = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        (folder / f"{name}.key").write_bytes(pem)


def _issued(name: str, issuer: Identity | None = None) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    signer = issuer.key if issuer else key
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOW - dt.timedelta(days=1))
        .not_valid_after(_NOW + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        # Python 3.13 expects these of every certificate.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(_usage(ca=issuer is None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    return Identity(certificate, key)


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


class Site:
    """A folder with an authority, a server and a client, and the endpoint that its `web.yml` protects."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = _issued("authority")
        for name, identity in {
            "ca": self.authority,
            "server": _issued("server", self.authority),
            "client": _issued("client", self.authority),
            "stranger": _issued("stranger"),
        }.items():
            identity.write(folder, name)
        self._servers: list[Server] = []

    def config(self, text: str) -> Path:
        path = self.folder / "web.yml"
        path.write_text(text)
        # Also where two changes are within the resolution of the file system.
        os.utime(path, ns=(len(self._servers), int.from_bytes(os.urandom(6), "big")))
        return path

    def serve(self, text: str) -> Server:
        config = WebConfig(self.config(text))
        self._servers.append(Server("127.0.0.1", 0, Application(lambda *_: b"a 1\n", config), config.tls_context))
        return self._servers[-1]

    def client(self, identity: str | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        if identity:
            context.load_cert_chain(self.folder / f"{identity}.crt", self.folder / f"{identity}.key")
        return context

    def stop(self) -> None:
        for server in self._servers:
            server.stop(5)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.stop()


def _get(server: Server, context: ssl.SSLContext | None = None, user: str | None = None) -> http.client.HTTPResponse:
    connection: http.client.HTTPConnection = (
        http.client.HTTPSConnection("127.0.0.1", server.port, timeout=20, context=context)
        if context
        else http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    )
    headers = {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"} if user else {}
    connection.request("GET", "/metrics", headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


_TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
_USERS = f"basic_auth_users:\n  prometheus: {_HASH}\n  other: {_OTHER_HASH}\n"


def test_empty_file_protects_nothing(site: Site) -> None:
    assert _get(site.serve("")).status == 200


def test_tls_with_paths_relative_to_the_file(site: Site) -> None:
    server = site.serve(_TLS)
    assert _get(server, site.client()).status == 200
    with pytest.raises((http.client.HTTPException, OSError)):
        _get(server)
    assert _get(server, site.client()).status == 200


def test_minimum_version(site: Site) -> None:
    server = site.serve(_TLS + "  min_version: TLS13\n")
    context = site.client()
    assert _get(server, context).status == 200
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(OSError, match=r"(?i)version|closed|reset"):
        _get(server, context)


def _refused(get: Callable[[], Any]) -> bool:
    try:
        get()
    except OSError:
        return True
    return False


@pytest.mark.parametrize(
    ("client_auth_type", "accepted"),
    [("VerifyClientCertIfGiven", {None, "client"}), ("RequireAndVerifyClientCert", {"client"})],
)
def test_client_certificates(site: Site, client_auth_type: str, accepted: set[str | None]) -> None:
    server = site.serve(f"{_TLS}  client_auth_type: {client_auth_type}\n  client_ca_file: ca.crt\n")
    found = {each for each in (None, "client", "stranger") if not _refused(lambda: _get(server, site.client(each)))}  # noqa: B023
    assert found == accepted


def test_users(site: Site) -> None:
    server = site.serve(_USERS)
    for user, status in {
        "prometheus:pass:word": 200,
        "other:other": 200,
        "prometheus:other": 401,
        "prometheus:": 401,
        "nobody:pass:word": 401,
        "": 401,
        "prometheus": 401,
        "prometheus:" + "x" * 100: 401,
        "prometheus:pässword": 401,
    }.items():
        for _ in range(2):
            answer = _get(server, user=user)
            assert answer.status == status, user
            assert (answer.headers["WWW-Authenticate"] is not None) == (status == 401)


@pytest.mark.parametrize(
    "authorization", ["Basic", "Basic !", "Bearer x", "Basic /w==", "Digest cHJvbWV0aGV1czpwYXNzOndvcmQ="]
)
def test_invalid_authorization_is_refused(site: Site, authorization: str) -> None:
    assert not WebConfig(site.config(_USERS)).authorizes(authorization)


def test_slow_hash_is_computed_once_for_a_valid_password(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[bytes] = []
    check = web_config_module._matches

    def counting(password: bytes, expected: bytes) -> bool:
        checked.append(password)
        return check(password, expected)

    monkeypatch.setattr(web_config_module, "_matches", counting)
    config = WebConfig(site.config(_USERS))
    valid, invalid = (f"Basic {base64.b64encode(each).decode()}" for each in (b"other:other", b"other:wrong"))
    assert [config.authorizes(each) for each in (valid, valid, valid, invalid, valid)] == [
        True,
        True,
        True,
        False,
        True,
    ]
    assert checked == [b"other", b"wrong"]


def test_removed_user_loses_access_even_if_another_has_the_same_hash(site: Site) -> None:
    config = WebConfig(site.config(f"basic_auth_users:\n  a: {_OTHER_HASH}\n  b: {_OTHER_HASH}\n"))
    b = f"Basic {base64.b64encode(b'b:other').decode()}"
    assert config.authorizes(b)
    site.config(f"basic_auth_users:\n  a: {_OTHER_HASH}\n")
    assert not config.authorizes(b)


def test_headers_are_in_every_answer(site: Site) -> None:
    server = site.serve(f"{_USERS}http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n")
    for user in ("other:other", "other:wrong"):
        assert _get(server, user=user).headers["X-Frame-Options"] == "deny"


def test_changed_file_is_read_again(site: Site) -> None:
    server = site.serve(_USERS)
    assert _get(server, user="other:other").status == 200
    site.config(f"basic_auth_users:\n  other: {_HASH}\n")
    assert _get(server, user="other:other").status == 401
    assert _get(server, user="other:pass:word").status == 200
    site.config(_TLS)
    assert _get(server, site.client()).status == 200


def test_renewed_certificate_is_read_again(site: Site) -> None:
    server = site.serve(_TLS)

    def shown() -> bytes | None:
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection,
            site.client().wrap_socket(connection, server_hostname="127.0.0.1") as tls,
        ):
            return tls.getpeercert(binary_form=True)

    before = shown()
    renewed = _issued("server", site.authority)
    renewed.write(site.folder, "server")
    assert shown() == renewed.certificate.public_bytes(serialization.Encoding.DER) != before


def test_invalid_change_is_logged_once_and_keeps_the_last_content(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    server = site.serve(_TLS + _USERS)
    context = site.client()
    site.config("basic_auth_users: hunter2\n")
    (site.folder / "server.crt").write_text("renewal failed")
    for _ in range(3):
        assert _get(server, context, "other:other").status == 200
        assert _get(server, context).status == 401
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(messages) == 1
    assert "TRUST_OTEL_PROMETHEUS_WEB_CONFIG" in messages[0]
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a", "mapping"),
        ("basic_auth_users: {a: hunter2}", "entry 1 of basic_auth_users is no bcrypt hash; make one with"),
        ("basic_auth_users: {}", "basic_auth_users"),
        ("basic_auth_users: hunter2", "basic_auth_users"),
        ("basic_auth_user: {a: hunter2}", "'basic_auth_user', which is not supported; use tls_server_config"),
        ("a: [hunter2", "line 1, column"),
        ("tls_server_config: {cert_file: server.crt}", "key_file"),
        ("tls_server_config: {cert_file: 1, key_file: server.key}", "cert_file"),
        ("tls_server_config: {cert_file: none.crt, key_file: server.key}", "No such file"),
        ("tls_server_config: {cert_file: server.crt, key_file: client.key}", "KEY_VALUES_MISMATCH"),
        ("tls_server_config: {cert_file: server.crt, key_file: encrypted.key}", "unencrypted key"),
        ("tls_server_config: {cert_file: web.yml, key_file: server.key}", "PEM certificate"),
        (_TLS + "  min_version: TLS11\n", "min_version must be one of TLS12, TLS13"),
        (_TLS + "  client_auth_type: RequireAnyClientCert\n", "client_auth_type must be one of"),
        (_TLS + "  client_auth_type: RequireAndVerifyClientCert\n", "client_ca_file"),
        (_TLS + "  client_ca_file: ca.crt\n", "client_auth_type"),
        (_TLS + "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: web.yml\n", "client_ca_file"),
        (_TLS + "  cipher_suites: [TLS_AES_128_GCM_SHA256]\n", "'cipher_suites', which is not supported"),
        ("rate_limit: {burst: 2}", "'rate_limit', which is not supported"),
        ("http_server_config: {headers: {Location: x}}", "'Location', which is not supported"),
        ('http_server_config: {headers: {X-Frame-Options: "a\\r\\nb: c"}}', "X-Frame-Options"),
        ("? {hunter2: 1}\n: a\n", "not supported|valid YAML"),
    ],
)
def test_invalid_file_is_explained_without_its_content(site: Site, text: str, problem: str) -> None:
    _issued("encrypted").write(site.folder, "encrypted", b"hunter2")
    path = site.config(text)
    with pytest.raises(ValueError, match=problem) as raised:
        WebConfig(path)
    assert "hunter2" not in str(raised.value)


def test_file_that_cannot_be_read_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        WebConfig(tmp_path / "none.yml")


@pytest.mark.parametrize("package", ["yaml", "bcrypt"])
def test_missing_package_is_named(site: Site, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name == package:
            raise ImportError(name)
        return original(name, *arguments, **keywords)

    path = site.config(_USERS)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"pip install 'trust-otel\[web-config\]'"):
        WebConfig(path)


def test_client_that_does_not_finish_the_handshake_does_not_block_others(site: Site) -> None:
    server = site.serve(_TLS)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as silent:
        silent.sendall(b"\x16\x03\x01")
        assert _get(server, site.client()).status == 200
