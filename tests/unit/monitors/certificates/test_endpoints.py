"""Certificates of TLS servers on loopback, and peers without a TLS handshake."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.unit.monitors.certificates.authority import DAY, NOW, Authority, key_pem, pem, write
from trust_otel.monitors.certificates import endpoints, fetch


def problem(snapshot: Any) -> str:
    (report,) = snapshot.reports
    return report.problem or ""


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (endpoints, fetch):
        monkeypatch.setattr(module, "TIMEOUT", 0.3)


@pytest.mark.parametrize("scheme", ["https", "tls"])
def test_expired_and_untrusted_certificate_is_read(
    make_watcher: Any, authority: Authority, tls_server: Callable[..., Any], scheme: str
) -> None:
    leaf, key = authority.issue(begin=NOW - 9 * DAY, days=-2)
    port = tls_server(leaf, key).port
    snapshot = make_watcher(f"{scheme}://127.0.0.1:{port}/ignored").poll()
    assert problem(snapshot) == ""
    watched = snapshot.certificates[f"127.0.0.1:{port}"]
    assert (watched.not_after, watched.not_before) == (
        leaf.not_valid_after_utc.timestamp(),
        leaf.not_valid_before_utc.timestamp(),
    )
    assert list(make_watcher(f"front={scheme}://127.0.0.1:{port}").poll().certificates) == ["front"]


@pytest.mark.skipif(sys.version_info < (3, 13), reason="before Python 3.13 only the first certificate can be had")
def test_certificate_chain(make_watcher: Any, authority: Authority, tls_server: Callable[..., Any]) -> None:
    leaf, key = authority.issue()
    port = tls_server(leaf, key, authority.certificate).port
    snapshot = make_watcher(f"front=tls://127.0.0.1:{port}").poll()
    assert {name: watched.type for name, watched in snapshot.certificates.items()} == {
        "front": "tls_server",
        "front#2": "ca",
    }


def test_server_name_indication(
    make_watcher: Any, authority: Authority, listen: Callable[..., Any], context_of: Callable[..., ssl.SSLContext]
) -> None:
    context, asked = context_of(*authority.issue()), []
    context.sni_callback = lambda tls, name, original: asked.append(name)

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1)

    assert problem(make_watcher(f"tls://localhost:{listen(serve).port}").poll()) == ""
    assert asked == ["localhost"]


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize(
    ("host", "name", "asked"),
    [
        ("vault.example", "vault.example", "vault.example"),
        ("vault.example.", "vault.example.", "vault.example"),
        ("VAULT.Example.", "vault.example.", "vault.example"),
        ("user:secret@vault.example.", "vault.example.", "vault.example"),
        ("b\u00fccher.example.", "b\u00fccher.example.", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_server_name_has_no_dot_at_its_end(
    make_watcher: Any,
    authority: Authority,
    listen: Any,
    context_of: Any,
    resolved: set[str],
    host: str,
    name: str,
    asked: str,
    refused: bool,
) -> None:
    context, names = context_of(*authority.issue()), []
    context.sni_callback = lambda tls, server_name, original: names.append(server_name)
    if refused:  # so that the handshake is repeated
        context.verify_mode, context.maximum_version = ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_2
    assert problem(make_watcher(f"https://{host}:{listen(_serving(context)).port}").poll()) == ""
    assert (resolved, set(names)) == ({name}, {asked})


def _serving(context: ssl.SSLContext) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1)

    return serve


@pytest.mark.parametrize(
    "curve", [ec.BrainpoolP256R1, ec.BrainpoolP384R1, ec.BrainpoolP512R1, ec.SECP256K1, ec.SECP224R1, ec.SECP521R1]
)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_curves(make_watcher: Any, listen: Any, context_of: Any, curve: Any, version: ssl.TLSVersion) -> None:
    authority = Authority(key=ec.generate_private_key(curve()))
    context = context_of(authority.certificate, authority.key)
    context.maximum_version = version
    snapshot = make_watcher(f"a=tls://127.0.0.1:{listen(_serving(context)).port}").poll()
    assert snapshot.certificates["a"].not_after == authority.certificate.not_valid_after_utc.timestamp()


def test_required_client_certificate(make_watcher: Any, authority: Authority, listen: Any, context_of: Any) -> None:
    leaf, key = authority.issue()
    context = context_of(leaf, key, authority.certificate)
    context.verify_mode, context.maximum_version = ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_2
    snapshot = make_watcher(f"a=tls://127.0.0.1:{listen(_serving(context)).port}").poll()
    assert (problem(snapshot), list(snapshot.certificates)) == ("", ["a", "a#2"])


_SERVER_HELLO = b"\x02\x00\x00\x26\x03\x03" + bytes(32) + b"\x00\xc0\x2b\x00"


def _record(data: bytes, kind: bytes = b"\x16") -> bytes:
    return kind + b"\x03\x03" + len(data).to_bytes(2, "big") + data


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x16",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        _record(b"\x02\x28", b"\x15"),
        _record(_SERVER_HELLO),
        _record(_SERVER_HELLO) + _record(b"\x0e\x00\x00\x00"),
        _record(_SERVER_HELLO) + _record(b"\x0b\x00\x00\x00"),
        _record(_SERVER_HELLO) + _record(b"\x0b\x00\x00\x06\x00\x00\xff\x00\x00\xff"),
        _record(_SERVER_HELLO) + _record(b"\x0b\x00\x00\x07\x00\x00\x04\x00\x00\x01x"),
        _record(b"\x0b\xff\xff\xff" + bytes(16000)) * 100,
        _record(b"") * 3,
    ],
)
@pytest.mark.usefixtures("_short")
def test_invalid_answer_to_the_second_handshake(make_watcher: Any, listen: Any, answer: bytes) -> None:
    alert = _record(b"\x02\x28", b"\x15")
    answers = [alert, answer]

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        with connection:
            connection.sendall(answers.pop(0))

    snapshot = make_watcher(f"tls://127.0.0.1:{listen(serve).port}").poll()
    assert answers == []
    assert snapshot.certificates == {}
    assert re.search("HANDSHAKE_FAILURE|invalid certificate|contains no certificate", problem(snapshot))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_old_protocol_and_weak_key(make_watcher: Any, listen: Any, tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 1024)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.load_cert_chain(write(tmp_path / "weak.pem", pem(Authority(key=key).certificate), key_pem(key)))

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1)

    assert problem(make_watcher(f"tls://127.0.0.1:{listen(serve).port}").poll()) == ""


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6(make_watcher: Any, authority: Authority, tls_server: Callable[..., Any]) -> None:
    try:
        port = tls_server(*authority.issue(), host="::1").port
    except OSError:
        pytest.skip("no IPv6 on loopback")
    assert list(make_watcher(f"tls://[::1]:{port}").poll().certificates) == [f"[::1]:{port}"]


def _postgresql(answer: bytes, context: ssl.SSLContext) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        assert struct.unpack("!II", connection.recv(8)) == (8, 80877103)
        connection.sendall(answer)
        if answer == b"S":
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.recv(1)
        else:
            connection.close()

    return serve


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(b"S", ""), (b"N", "ssl = on"), (b"E", "not a PostgreSQL server"), (b"", "not a PostgreSQL server")],
)
def test_postgresql(
    make_watcher: Any, authority: Authority, listen: Any, context_of: Any, answer: bytes, reason: str
) -> None:
    port = listen(_postgresql(answer, context_of(*authority.issue()))).port
    snapshot = make_watcher(f"db=tls+postgres://127.0.0.1:{port}").poll()
    assert reason in problem(snapshot)
    assert list(snapshot.certificates) == ([] if reason else ["db"])


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (lambda connection: connection.close(), "TLS handshake failed|reset|closed|EOF"),
        (lambda connection: (connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"), connection.close()), "handshake failed"),
        (lambda connection: None, "does not answer within"),
    ],
)
@pytest.mark.usefixtures("_short")
def test_failed_handshake_is_a_problem(make_watcher: Any, listen: Any, serve: Any, reason: str) -> None:
    snapshot = make_watcher(f"tls://127.0.0.1:{listen(serve).port}").poll()
    assert snapshot.certificates == {}
    assert re.search(reason, problem(snapshot))


def test_refused_connection_is_a_problem_without_credentials(make_watcher: Any) -> None:
    snapshot = make_watcher("https://user:secret@127.0.0.1:1/x?token=secret").poll()
    assert snapshot.reports[0].name == "https://127.0.0.1:1"
    assert problem(snapshot) == "Connection refused"


def test_invalid_host_name_is_a_problem(make_watcher: Any) -> None:
    assert problem(make_watcher(f"tls://{'a' * 80}.test").poll())


@pytest.mark.usefixtures("_short")
def test_hanging_peers_do_not_block_others(
    make_watcher: Any, authority: Authority, listen: Any, tls_server: Any
) -> None:
    port = tls_server(*authority.issue()).port
    hanging = [listen(lambda connection: None).port for _ in range(6)]
    begin = time.monotonic()
    snapshot = make_watcher(*(f"tls://127.0.0.1:{one}" for one in hanging), f"front=tls://127.0.0.1:{port}").poll()
    assert time.monotonic() - begin < 6 * 0.3
    assert list(snapshot.certificates) == ["front"]
    assert [bool(report.problem) for report in snapshot.reports] == [True] * 6 + [False]


@pytest.mark.usefixtures("_short")
def test_no_socket_stays_open(make_watcher: Any, authority: Authority, listen: Any, tls_server: Any) -> None:
    process = psutil.Process()
    server, hanging = tls_server(*authority.issue()).port, listen(lambda connection: None).port
    watcher = make_watcher(f"tls://127.0.0.1:{server}", f"tls://127.0.0.1:{hanging}", "tls://127.0.0.1:1")
    for _ in range(3):
        watcher.poll()
    ours = [
        one for one in process.net_connections("tcp") if one.raddr and one.raddr.port in (server, hanging) and one.laddr
    ]
    assert ours == []
