"""Servers on loopback, and a watcher without metrics."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.monitors.certificates.authority import Authority, key_pem, pem, write
from trust_otel.monitors.certificates.watcher import CertificateWatcher
from trust_otel.setting_lists import certificate_sources


@pytest.fixture(autouse=True)
def _no_threads_left_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield
    assert [thread for thread in threading.enumerate() if thread.name.startswith("trust-otel-certificate")] == []


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def make_watcher() -> Callable[..., CertificateWatcher]:
    """Creates a watcher from entries of the setting."""

    def make(*sources: object, password_file: Path | None = None, length: int = 128) -> CertificateWatcher:
        text = ",".join(str(source) for source in sources)
        return CertificateWatcher(certificate_sources(text), str(password_file) if password_file else None, length)

    return make


class Listener:
    """Accepts connections one at a time and calls a function for each, until it is closed."""

    def __init__(self, serve: Callable[[socket.socket], None], host: str = "127.0.0.1") -> None:
        self._serve = serve
        self._socket = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(connection)
            try:
                self._serve(connection)
            except OSError:
                continue

    def close(self) -> None:
        if not self._thread.is_alive():
            return
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self._open:
            connection.close()
        self._thread.join(5)


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    made: list[Listener] = []

    def make(serve: Callable[[socket.socket], None], host: str = "127.0.0.1") -> Listener:
        made.append(Listener(serve, host))
        return made[-1]

    yield make
    for listener in made:
        listener.close()


@pytest.fixture
def context_of(tmp_path: Path) -> Callable[..., ssl.SSLContext]:
    """A server context with a certificate, its key and the rest of the chain."""

    def make(certificate: Any, key: Any, *chain: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        file = write(tmp_path / "server" / "both.pem", pem(certificate, *chain), key_pem(key))
        context.load_cert_chain(file)
        return context

    return make


@pytest.fixture
def tls_server(listen: Callable[..., Listener], context_of: Callable[..., ssl.SSLContext]) -> Callable[..., Listener]:
    """A TLS server that closes the connection after the handshake."""

    def make(certificate: Any, key: Any, *chain: Any, host: str = "127.0.0.1") -> Listener:
        context = context_of(certificate, key, *chain)

        def serve(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.recv(1)

        return listen(serve, host)

    return make


Answer = tuple[int, dict[str, str], bytes]


class WebServer:
    """A web server that stores the requests, and responds with the result of a function."""

    def __init__(self, answer: Callable[[Any], Answer], context: ssl.SSLContext | None = None) -> None:
        self.requests: list[Any] = []
        kept = self.requests

        class Handler(http.server.BaseHTTPRequestHandler):
            def _handle(self) -> None:
                self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                kept.append(self)
                status, headers, body = answer(self)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _handle  # noqa: N815 - names required by http.server

            def log_message(self, *arguments: object) -> None:
                """Do not log."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def web_server() -> Iterator[Callable[..., WebServer]]:
    made: list[WebServer] = []

    def make(answer: Callable[[Any], Answer] | bytes, context: ssl.SSLContext | None = None) -> WebServer:
        made.append(WebServer(answer if callable(answer) else lambda _: (200, {}, answer), context))
        return made[-1]

    yield make
    for server in made:
        server.close()
