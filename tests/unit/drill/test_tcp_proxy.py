"""The TCP proxy that can interrupt connections."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest

from testbed.drill.tcp_proxy import TcpProxy


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "100000")
        self.end_headers()
        self.wfile.write(b"x" * 100_000)

    def log_message(self, *_: object) -> None:
        """Do not log requests."""


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with TcpProxy() as running:
            running.set_target(server.server_port)
            yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_data_is_forwarded_in_both_directions(proxy: TcpProxy) -> None:
    assert len(httpx.get(proxy.url, trust_env=False).content) == 100_000


def test_connections_fail_while_the_proxy_is_cut(proxy: TcpProxy) -> None:
    with httpx.Client(trust_env=False) as kept_alive:
        kept_alive.get(proxy.url)
        proxy.cut()
        with pytest.raises(httpx.TransportError):
            kept_alive.get(proxy.url)
        with pytest.raises(httpx.TransportError):
            httpx.get(proxy.url, trust_env=False)
        proxy.restore()
        assert kept_alive.get(proxy.url).status_code == 200


def test_a_connection_without_a_listening_target_is_closed() -> None:
    with TcpProxy() as running, pytest.raises(httpx.TransportError):
        httpx.get(running.url, trust_env=False)
