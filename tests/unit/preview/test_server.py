"""The preview accepts requests from its own page and from local programs, but not from other websites."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tools.preview import Preview, server

QUERY = "/prometheus/api/v1/query?query=up"


class Prometheus(BaseHTTPRequestHandler):
    """Answers every query."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: object) -> None:
        """Do not log requests."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    dist = tmp_path_factory.mktemp("dist")
    (dist / "index.html").write_text("the page")
    prometheus = HTTPServer(("127.0.0.1", 0), Prometheus)
    thread = threading.Thread(target=prometheus.serve_forever, args=(0.01,))
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        # Building the page takes a minute and needs the internet.
        patch.setattr(server, "built", lambda _: dist)
        with Preview(f"http://127.0.0.1:{prometheus.server_port}", dashboards=Path(dist)) as preview:
            yield preview.url
    prometheus.shutdown()
    thread.join()
    prometheus.server_close()


def send_request(url: str, path: str, *headers: tuple[str, str], method: str = "GET") -> http.client.HTTPResponse:
    """The response to a request with exactly these headers; `PORT` is replaced by the port."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    connection.putrequest(method, path, skip_host=True)
    for name, value in headers:
        connection.putheader(name, value.replace("PORT", str(address.port)))
    if method == "POST" and not any(name == "Content-Length" for name, _ in headers):
        connection.putheader("Content-Length", "0")
    connection.endheaders()
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


OWN = ("Host", "127.0.0.1:PORT")
PATHS = ["/", "/d/some", "/dashboards.json", QUERY]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["127.0.0.1:PORT", "localhost:PORT", "LOCALHOST:PORT", "[::1]:PORT", "localhost:8080"])
def test_requests_to_local_host_names_are_accepted(url: str, path: str, host: str) -> None:
    assert send_request(url, path, ("Host", host)).status == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "hosts",
    [
        ["evil.example:PORT"],
        ["127.0.0.1.evil.example:PORT"],
        ["localhost.evil.example"],
        ["evil.example@127.0.0.1:PORT"],
        ["192.168.1.7:PORT"],
        ["127.0.0.1:PORT", "evil.example:PORT"],
        [""],
        [],
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_requests_to_other_host_names_are_rejected(url: str, path: str, hosts: list[str], method: str) -> None:
    assert send_request(url, path, *(("Host", host) for host in hosts), method=method).status == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:PORT"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_cross_origin_requests_are_rejected(url: str, origin: str, method: str) -> None:
    assert send_request(url, QUERY, OWN, ("Origin", origin), method=method).status == 403
    assert send_request(url, QUERY, OWN, ("Sec-Fetch-Site", "cross-site"), method=method).status == 403
    assert send_request(url, QUERY, OWN, ("Sec-Fetch-Site", "same-site"), method=method).status == 403


def test_same_origin_requests_and_links_are_accepted(url: str) -> None:
    own = (OWN, ("Origin", "http://127.0.0.1:PORT"), ("Sec-Fetch-Site", "same-origin"))
    assert send_request(url, QUERY, *own, method="POST").status == 200
    link = (OWN, ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"))
    answer = send_request(url, "/d/some", *link)
    assert (answer.status, answer.headers["X-Frame-Options"]) == (200, "DENY")
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("length", ["-5", "many", "1000001", "\u00b2"])
def test_a_body_with_an_invalid_length_is_rejected(url: str, length: str) -> None:
    assert send_request(url, QUERY, OWN, ("Content-Length", length), method="POST").status == 413
