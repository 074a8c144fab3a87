"""Certificates that servers show: real handshakes on loopback, and peers that do not shake hands."""

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
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.unit.monitors.certificates.authority import DAY, NOW, Authority, key_pem, pem, write
from trust_otel.monitors.certificates import endpoints, fetch


def problem(look: Any) -> str:
    (report,) = look.reports
    return report.problem or ""


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (endpoints, fetch):
        monkeypatch.setattr(module, "TIMEOUT", 0.3)


@pytest.mark.parametrize("scheme", ["https", "tls"])
def test_an_expired_certificate_of_nobody_known_is_seen(
    watch: Any, authority: Authority, tls_server: Callable[..., Any], scheme: str
) -> None:
    leaf, key = authority.issue(begin=NOW - 9 * DAY, days=-2)
    port = tls_server(leaf, key).port
    look = watch(f"{scheme}://127.0.0.1:{port}/ignored").look()
    assert problem(look) == ""
    watched = look.certificates[f"127.0.0.1:{port}"]
    assert (watched.not_after, watched.not_before) == (
        leaf.not_valid_after_utc.timestamp(),
        leaf.not_valid_before_utc.timestamp(),
    )
    assert list(watch(f"front={scheme}://127.0.0.1:{port}").look().certificates) == ["front"]


@pytest.mark.skipif(sys.version_info < (3, 13), reason="before Python 3.13 only the first certificate can be had")
def test_the_certificates_that_the_server_sends_beside_it_are_seen_too(
    watch: Any, authority: Authority, tls_server: Callable[..., Any]
) -> None:
    leaf, key = authority.issue()
    port = tls_server(leaf, key, authority.certificate).port
    look = watch(f"front=tls://127.0.0.1:{port}").look()
    assert {name: watched.type for name, watched in look.certificates.items()} == {
        "front": "tls_server",
        "front#2": "ca",
    }


def test_the_server_learns_the_name_that_is_asked_for(
    watch: Any, authority: Authority, listen: Callable[..., Any], context_of: Callable[..., ssl.SSLContext]
) -> None:
    context, asked = context_of(*authority.issue()), []
    context.sni_callback = lambda tls, name, original: asked.append(name)

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1)

    assert problem(watch(f"tls://localhost:{listen(serve).port}").look()) == ""
    assert asked == ["localhost"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_an_old_server_with_a_weak_key_hides_no_certificate(watch: Any, listen: Any, tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 1024)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.load_cert_chain(write(tmp_path / "weak.pem", pem(Authority(key=key).certificate), key_pem(key)))

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1)

    assert problem(watch(f"tls://127.0.0.1:{listen(serve).port}").look()) == ""


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6(watch: Any, authority: Authority, tls_server: Callable[..., Any]) -> None:
    try:
        port = tls_server(*authority.issue(), host="::1").port
    except OSError:
        pytest.skip("no IPv6 on loopback")
    assert list(watch(f"tls://[::1]:{port}").look().certificates) == [f"[::1]:{port}"]


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
    ("answer", "reason"), [(b"S", ""), (b"N", "ssl = on"), (b"E", "no PostgreSQL"), (b"", "no PostgreSQL")]
)
def test_postgresql_is_asked_for_tls(
    watch: Any, authority: Authority, listen: Any, context_of: Any, answer: bytes, reason: str
) -> None:
    port = listen(_postgresql(answer, context_of(*authority.issue()))).port
    look = watch(f"db=tls+postgres://127.0.0.1:{port}").look()
    assert reason in problem(look)
    assert list(look.certificates) == ([] if reason else ["db"])


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (lambda connection: connection.close(), "TLS handshake failed|reset|closed|EOF"),
        (lambda connection: (connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"), connection.close()), "handshake failed"),
        (lambda connection: None, "does not answer within"),
    ],
)
@pytest.mark.usefixtures("_short")
def test_a_peer_that_does_not_shake_hands_is_a_problem(watch: Any, listen: Any, serve: Any, reason: str) -> None:
    look = watch(f"tls://127.0.0.1:{listen(serve).port}").look()
    assert look.certificates == {}
    assert re.search(reason, problem(look))


def test_nobody_there_is_a_problem_without_credentials(watch: Any) -> None:
    look = watch("https://user:secret@127.0.0.1:1/x?token=secret").look()
    assert look.reports[0].name == "https://127.0.0.1:1"
    assert problem(look) == "Connection refused"


def test_a_name_that_is_no_name_is_a_problem(watch: Any) -> None:
    assert problem(watch(f"tls://{'a' * 80}.test").look())


@pytest.mark.usefixtures("_short")
def test_peers_that_hang_hold_up_nobody(watch: Any, authority: Authority, listen: Any, tls_server: Any) -> None:
    port = tls_server(*authority.issue()).port
    hanging = [listen(lambda connection: None).port for _ in range(6)]
    begin = time.monotonic()
    look = watch(*(f"tls://127.0.0.1:{one}" for one in hanging), f"front=tls://127.0.0.1:{port}").look()
    assert time.monotonic() - begin < 6 * 0.3
    assert list(look.certificates) == ["front"]
    assert [bool(report.problem) for report in look.reports] == [True] * 6 + [False]


@pytest.mark.usefixtures("_short")
def test_no_socket_is_left_open(watch: Any, authority: Authority, listen: Any, tls_server: Any) -> None:
    process = psutil.Process()
    server, hanging = tls_server(*authority.issue()).port, listen(lambda connection: None).port
    watching = watch(f"tls://127.0.0.1:{server}", f"tls://127.0.0.1:{hanging}", "tls://127.0.0.1:1")
    for _ in range(3):
        watching.look()
    ours = [
        one for one in process.net_connections("tcp") if one.raddr and one.raddr.port in (server, hanging) and one.laddr
    ]
    assert ours == []
