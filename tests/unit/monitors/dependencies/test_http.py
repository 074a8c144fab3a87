"""Probe over HTTP: statuses, Vault, and misbehaving servers."""

from __future__ import annotations

import ipaddress
import json
import logging
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.x509 import GeneralName, IPAddress

from tests.unit.monitors.dependencies.conftest import (
    ELSEWHERE,
    HOSTS,
    LOOPBACK,
    VAULT,
    Authority,
    Serve,
    checked,
    drip,
    hang,
    reset,
    say,
)


class Web:
    """An HTTP server, and the paths requested from it."""

    def __init__(self) -> None:
        web = self
        self.status = 200
        self.body = b"{}"
        self.headers: dict[str, str] = {}
        self.requested: list[str] = []
        self.authorization: str | None = None

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.requested.append(self.path)
                web.authorization = self.headers.get("authorization")
                self.send_response(web.status)
                for name, value in web.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(web.body)
                except OSError:
                    web.refused_body.set()

            def log_message(self, *args: object) -> None:
                return

        self.refused_body = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.close()


@pytest.mark.parametrize("status", [200, 204, 304, 399])
def test_success_and_redirect_are_up(web: Web, status: int) -> None:
    web.status = status
    result = checked(f"ca=http://{web.address}/health")
    assert (result.up, result.error_type) == (True, None)
    assert 0 < result.seconds < 5


def test_redirect_is_not_followed(web: Web) -> None:
    web.status, web.headers = 302, {"Location": f"http://{web.address}/elsewhere"}
    assert checked(f"ca=http://{web.address}/health").up
    assert web.requested == ["/health"]


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503, 599])
def test_other_status_is_down(web: Web, status: int) -> None:
    web.status = status
    result = checked(f"pki=http://{web.address}/health")
    assert (result.up, result.error_type) == (False, str(status))


# HashiCorp Vault, HTTP API, /sys/health: the status of each state of a node.
@pytest.mark.parametrize(
    ("status", "state", "error_type"),
    [
        (200, {"initialized": True, "sealed": False, "standby": False}, None),
        (429, {"initialized": True, "sealed": False, "standby": True}, None),
        (472, {"initialized": True, "sealed": False, "replication_dr_mode": "secondary"}, None),
        (473, {"initialized": True, "sealed": False, "performance_standby": True}, None),
        (474, {"initialized": True, "sealed": False, "standby": True}, "474"),
        (501, {"initialized": False, "sealed": True, "standby": True}, "uninitialized"),
        (503, {"initialized": True, "sealed": True, "standby": True}, "sealed"),
        (530, {"initialized": True, "sealed": True, "removed_from_cluster": True}, "530"),
    ],
)
def test_vault_statuses(web: Web, status: int, state: dict[str, object], error_type: str | None) -> None:
    web.status, web.body, web.headers = status, json.dumps(state).encode(), {"Content-Type": "application/json"}
    result = checked(f"vault=http://{web.address}/v1/sys/health")
    assert (result.up, result.error_type) == (error_type is None, error_type)


def test_gateway_error_is_not_a_sealed_vault(web: Web) -> None:
    web.status, web.body, web.headers = 503, b"<h1>503</h1>", {"Content-Type": "text/html"}
    assert checked(f"vault=http://{web.address}/v1/sys/health").error_type == "503"


@pytest.mark.parametrize("path", ["", "/"])
def test_default_path_of_vault(web: Web, path: str) -> None:
    checked(f"vault=http://{web.address}{path}")
    assert web.requested == ["/v1/sys/health"]


def test_query_is_unchanged(web: Web) -> None:
    checked(f"vault=http://{web.address}/v1/sys/health?standbyok=true&sealedcode=299&x=%2C")
    assert web.requested == ["/v1/sys/health?standbyok=true&sealedcode=299&x=%2C"]


def test_credentials_are_sent_and_not_logged(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert checked(f"ca=http://user:se%2Fcret@{web.address}/").up
    encoded = b64encode(b"user:se/cret").decode()
    assert web.authorization == f"Basic {encoded}"
    assert not any(secret in caplog.text for secret in ("se/cret", "se%2Fcret", encoded))


def test_large_body_is_not_read(web: Web) -> None:
    web.body = bytes(10_000_000)
    assert checked(f"ca=http://{web.address}/").seconds < 1
    assert web.refused_body.wait(5)


def test_endless_response_times_out(serve: Serve) -> None:
    result = checked(f"ca=http://127.0.0.1:{serve(drip).port}/", 0.3)
    assert result.error_type == "timeout"
    assert 0.3 <= result.seconds < 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_timeout(serve: Serve, scheme: str, authority: Authority) -> None:
    result = checked(f"ca={scheme}://127.0.0.1:{serve(hang).port}/", 0.3)
    assert result.error_type == "timeout"
    assert 0.3 <= result.seconds < 1


def test_timeout_after_the_tls_handshake(serve: Serve, authority: Authority) -> None:
    server = serve(hang, tls=authority.context(LOOPBACK))
    assert checked(f"ca=https://127.0.0.1:{server.port}/", 0.3).error_type == "timeout"


@pytest.mark.parametrize(
    "behaviour", [reset, say(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), say(b"HTTP/1.1 two hundred\r\n\r\n")]
)
def test_other_protocol(serve: Serve, behaviour: object) -> None:
    assert checked(f"ca=http://127.0.0.1:{serve(behaviour).port}/").error_type == "unexpected_answer"


def test_connection_refused(closed_port: int) -> None:
    assert checked(f"ca=http://127.0.0.1:{closed_port}/").error_type == "connection_refused"


def test_name_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert checked("ca=http://vault.test/").error_type == "name_resolution"


def test_hanging_name_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    answering, requested = threading.Event(), []

    def slow(host: bytes, *args: object, **options: object) -> list[object]:
        requested.append(host)
        answering.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    results = [checked("ca=http://vault.test/", 0.1) for _ in range(3)]
    answering.set()
    assert [(result.error_type, result.seconds < 0.5) for result in results] == [("timeout", True)] * 3
    assert requested == [b"vault.test"]


def test_trusted_certificate(serve: Serve, authority: Authority) -> None:
    server = serve(say(b"HTTP/1.1 200 OK\r\n\r\n"), tls=authority.context(LOOPBACK))
    assert checked(f"ca=https://127.0.0.1:{server.port}/").up


@HOSTS
def test_dot_at_the_end_of_the_host_is_not_part_of_the_verified_name(
    serve: Serve, authority: Authority, resolved: set[str], host: str, name: str, asked: str
) -> None:
    context, names = authority.recording_context(asked)
    server = serve(say(b"HTTP/1.1 200 OK\r\n\r\n"), tls=context)
    assert checked(f"ca=https://{host}:{server.port}/").up
    assert (resolved, names) == ({name}, [asked])


@pytest.mark.parametrize("host", ["vault.example.", "user:secret@Vault.example.", "vault.example"])
def test_dot_at_the_end_of_the_host_behind_a_proxy(
    serve: Serve, authority: Authority, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    context, received = authority.context(VAULT), []

    def proxy(connection: socket.socket) -> None:
        received.append(connection.recv(65536).split(b" ")[1])
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(65536)
            tls.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            hang(tls)

    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{serve(proxy).port}")
    assert checked(f"ca=https://{host}:8200/").up
    assert received == [b"vault.example:8200"]


def test_ipv6_address(authority: Authority, serve: Serve) -> None:
    context = authority.context(IPAddress(ipaddress.ip_address("::1")))
    try:
        server = serve(say(b"HTTP/1.1 200 OK\r\n\r\n"), tls=context, host="::1")
    except OSError:
        pytest.skip("no IPv6 on loopback")
    assert checked(f"ca=https://[::1]:{server.port}/").up


@pytest.mark.parametrize("name", [LOOPBACK, ELSEWHERE])
def test_untrusted_certificate_and_wrong_name(
    serve: Serve, authority: Authority, name: GeneralName, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(say(b"HTTP/1.1 200 OK\r\n\r\n"), tls=authority.context(name))
    if name is LOOPBACK:
        monkeypatch.delenv("SSL_CERT_FILE")
    assert checked(f"ca=https://127.0.0.1:{server.port}/").error_type == "tls"


def test_plain_http_server(web: Web) -> None:
    assert checked(f"ca=https://{web.address}/").error_type == "tls"


def test_changed_ca_file_is_read_again(serve: Serve, authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    server = serve(say(b"HTTP/1.1 200 OK\r\n\r\n"), tls=other.context(LOOPBACK))
    assert checked(f"ca=https://127.0.0.1:{server.port}/").error_type == "tls"
    time.sleep(0.01)  # so that the modification time differs
    authority.file.write_bytes(other.file.read_bytes())
    assert checked(f"ca=https://127.0.0.1:{server.port}/").up


def test_proxy_of_the_environment(web: Web, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{web.address}")
    url = f"http://127.0.0.1:{closed_port}/health"
    assert checked(f"ca={url}").up
    assert web.requested == [url]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert checked(f"ca={url}").error_type == "connection_refused"
