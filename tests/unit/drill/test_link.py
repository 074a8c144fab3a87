"""The line that can be cut."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest

from testbed.drill.tcp_proxy import Link


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "100000")
        self.end_headers()
        self.wfile.write(b"x" * 100_000)

    def log_message(self, *_: object) -> None:
        """No line per request."""


@pytest.fixture
def link() -> Iterator[Link]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with Link() as line:
            line.lead_to(server.server_port)
            yield line
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_it_passes_on_what_is_sent_both_ways(link: Link) -> None:
    assert len(httpx.get(link.url, trust_env=False).content) == 100_000


def test_while_it_is_cut_nothing_passes_and_then_all_does(link: Link) -> None:
    with httpx.Client(trust_env=False) as kept_alive:
        kept_alive.get(link.url)
        link.cut()
        with pytest.raises(httpx.TransportError):
            kept_alive.get(link.url)
        with pytest.raises(httpx.TransportError):
            httpx.get(link.url, trust_env=False)
        link.mend()
        assert kept_alive.get(link.url).status_code == 200


def test_where_nobody_listens_the_connection_ends() -> None:
    with Link() as line, pytest.raises(httpx.TransportError):
        httpx.get(line.url, trust_env=False)
