"""The line that can be cut."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest

from testbed.drill.tcp_proxy import TcpProxy


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "100000")
        self.end_headers()
        self.wfile.write(b"x" * 100_000)

    def log_message(self, *_: object) -> None:
        """No line per request."""


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with TcpProxy() as line:
            line.set_target(server.server_port)
            yield line
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_it_passes_on_what_is_sent_both_ways(proxy: TcpProxy) -> None:
    assert len(httpx.get(proxy.url, trust_env=False).content) == 100_000


def test_while_it_is_cut_nothing_passes_and_then_all_does(proxy: TcpProxy) -> None:
    with httpx.Client(trust_env=False) as kept_alive:
        kept_alive.get(proxy.url)
        proxy.cut()
        with pytest.raises(httpx.TransportError):
            kept_alive.get(proxy.url)
        with pytest.raises(httpx.TransportError):
            httpx.get(proxy.url, trust_env=False)
        proxy.restore()
        assert kept_alive.get(proxy.url).status_code == 200


def test_where_nobody_listens_the_connection_ends() -> None:
    with TcpProxy() as line, pytest.raises(httpx.TransportError):
        httpx.get(line.url, trust_env=False)
