"""Servers on loopback with all kinds of behaviour, and a check that no thread and no socket is left."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from trust_otel.monitors.dependencies import CheckResult, check
from trust_otel.setting_lists import dependencies

Behaviour = Callable[[socket.socket], None]


class Server:
    """Handles every connection in the same way, each on a thread."""

    def __init__(
        self, behaviour: Behaviour, tls: ssl.SSLContext | None = None, port: int = 0, host: str = "127.0.0.1"
    ) -> None:
        self._behaviour = behaviour
        self._tls = tls
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.connected = threading.Event()
        self.connections = 0
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        self.port: int = self._listener.getsockname()[1]
        self._serving = threading.Thread(target=self._serve)
        self._serving.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                self.connections += 1
                self.connected.set()
                self._threads.append(threading.Thread(target=self._behave, args=(connection,)))
                self._threads[-1].start()

    def _behave(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            with connection:
                self._behaviour(connection)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._serving.join()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join()


def hang(connection: socket.socket) -> None:
    """Read everything and send nothing."""
    while connection.recv(65536):
        pass


def reset(connection: socket.socket) -> None:
    """Reset the connection after the first byte."""
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def drip(connection: socket.socket) -> None:
    """Send an endless response, one byte at a time."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.02)


def say(text: bytes) -> Behaviour:
    """Send a fixed response, and wait for the peer to close."""

    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(text)
        hang(connection)

    return behave


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    made: list[Server] = []

    def start(behaviour: Behaviour, **options: Any) -> Server:
        made.append(Server(behaviour, **options))
        return made[-1]

    yield start
    for server in made:
        server.close()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections: bound, but not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def checked(entry: str, timeout: float = 5) -> CheckResult:
    """The result of checking an entry of TRUST_OTEL_DEPENDENCIES."""
    (dependency,) = dependencies(entry)
    return check(dependency, timeout)


def _sockets() -> set[int]:
    return {connection.fd for connection in psutil.Process().net_connections()}


@pytest.fixture(autouse=True)
def no_leaks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check that a test leaves no threads and sockets."""
    monkeypatch.delenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    threads, sockets = set(threading.enumerate()), _sockets()
    yield
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and (set(threading.enumerate()) - threads or _sockets() - sockets):
        time.sleep(0.01)
    assert set(threading.enumerate()) - threads == set()
    assert _sockets() - sockets == set()


@dataclass
class Authority:
    """A certificate authority that issues server certificates."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        certificate = (
            self._builder(self._name, self.key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(sign=True), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.file = self.folder / "ca.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, *names: x509.GeneralName) -> tuple[bytes, bytes]:
        """A key and a certificate, in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test server")])
        certificate = (
            self._builder(subject, key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign=False), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return private, certificate.public_bytes(serialization.Encoding.PEM)

    def context(self, *names: x509.GeneralName) -> ssl.SSLContext:
        """A server context with a new certificate."""
        file = self.folder / "server.pem"
        file.write_bytes(b"".join(self.issue(*names)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def recording_context(self, name: str) -> tuple[ssl.SSLContext, list[str | None]]:
        """A server context with a new certificate for a DNS name, and the server names that clients ask for."""
        context, asked = self.context(x509.DNSName(name)), list[str | None]()
        context.sni_callback = lambda _tls, server_name, _original: asked.append(server_name)
        return context, asked

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.timezone.utc)
        return (
            x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign,
        key_cert_sign=sign,
        crl_sign=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


VAULT = x509.DNSName("vault.example")
LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
ELSEWHERE = x509.DNSName("elsewhere.test")

HOSTS = pytest.mark.parametrize(
    ("host", "name", "asked"),
    [
        ("vault.example", "vault.example", "vault.example"),
        ("vault.example.", "vault.example.", "vault.example"),
        ("VAULT.Example.", "vault.example.", "vault.example"),
        ("user:secret@vault.example.", "vault.example.", "vault.example"),
        ("b\u00fccher.example.", "xn--bcher-kva.example.", "xn--bcher-kva.example"),
    ],
)
"""Hosts of addresses with the name that is resolved, and the name that the server is asked for."""


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """A certificate authority that the probes trust."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made
