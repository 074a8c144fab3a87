"""Requests to the endpoint, and clients that are slow, silent or many."""

from __future__ import annotations

import gzip
import http.client
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Set
from socketserver import BaseServer
from typing import Any

import pytest

from trust_otel.export.prometheus import server as server_module
from trust_otel.export.prometheus.application import Application
from trust_otel.export.prometheus.exposition import Format
from trust_otel.export.prometheus.page import warn_once
from trust_otel.export.prometheus.server import Server

_BODY = b"# TYPE a gauge\na 1\n" * 100


@pytest.fixture(autouse=True)
def _no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server polls its shutdown flag so rarely that a shutdown that waited for it would not return."""
    monkeypatch.setattr(BaseServer.serve_forever, "__defaults__", (3600,))


class Served:
    """A server with a page that records what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Set[str]]] = []
        self.scrape: Callable[[], bytes] = lambda: _BODY
        self.server = Server("127.0.0.1", 0, Application(self._scrape), lambda: None)

    def _scrape(self, format_: Format, names: Set[str]) -> bytes:
        self.asked.append((format_.media_type, names))
        return self.scrape()

    def request(self, method: str, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=20)


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.server.stop(5)


def test_metrics_are_served(served: Served) -> None:
    answer, body = served.request("GET", "/metrics")
    assert (answer.status, body) == (200, _BODY)
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
    assert answer.headers["Content-Length"] == str(len(_BODY))
    assert served.asked == [("text/plain", frozenset())]


def test_format_is_negotiated(served: Served) -> None:
    answer, _ = served.request("GET", "/metrics", Accept="application/openmetrics-text; version=1.0.0, */*;q=0.1")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert served.asked == [("application/openmetrics-text", frozenset())]


def test_names_are_filtered(served: Served) -> None:
    served.request("GET", "/metrics?name[]=a&name%5B%5D=b_total&other=c")
    assert served.asked == [("text/plain", {"a", "b_total"})]


def test_body_is_compressed_if_the_client_accepts_it(served: Served) -> None:
    answer, body = served.request("GET", "/metrics", Accept_Encoding="gzip")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == _BODY
    answer, body = served.request("GET", "/metrics", Accept_Encoding="gzip;q=0, identity")
    assert (answer.headers["Content-Encoding"], body) == (None, _BODY)


def test_head_has_the_headers_of_get(served: Served) -> None:
    head, body = served.request("HEAD", "/metrics")
    get, _ = served.request("GET", "/metrics")
    assert (head.status, body) == (200, b"")
    without_date = [{name: text for name, text in each.headers.items() if name != "Date"} for each in (head, get)]
    assert without_date[0] == without_date[1]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "X"])
def test_other_methods_are_refused(served: Served, method: str) -> None:
    answer, _ = served.request(method, "/metrics")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert served.asked == []


@pytest.mark.parametrize("path", ["/favicon.ico", "/metrics/", "/metrics2", "/%2e%2e/metrics"])
def test_other_paths_are_not_found(served: Served, path: str) -> None:
    answer, body = served.request("GET", path)
    assert answer.status == 404
    assert b"/metrics" in body


def test_root_has_a_link_to_the_metrics(served: Served) -> None:
    answer, body = served.request("GET", "/")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b'href="/metrics"' in body


def test_failing_collection_is_an_error_that_is_logged_once(
    served: Served, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> bytes:
        raise RuntimeError("secret")

    warn_once.cache_clear()
    served.scrape = fail
    for _ in range(2):
        answer, body = served.request("GET", "/metrics")
        assert answer.status == 500
        assert b"secret" not in body
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
    assert "secret" not in caplog.text
    served.scrape = lambda: _BODY
    assert served.request("GET", "/metrics")[0].status == 200
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "sent", [b"", b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"G" * 70_000 + b"\r\n"]
)
def test_what_is_no_request_is_not_logged_and_stops_nothing(
    served: Served, sent: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with served.connect() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    assert served.request("GET", "/metrics")[0].status == 200
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")


def test_silent_client_is_disconnected(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_SECONDS_TO_ASK", 0.05)
    with served.connect() as connection:
        assert connection.recv(1) == b""


def test_client_that_sends_its_request_slowly_is_disconnected(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is on the whole request: each part of it arrives in time."""
    monkeypatch.setattr(server_module, "_SECONDS_TO_ASK", 0.3)
    with served.connect() as connection, pytest.raises((BrokenPipeError, ConnectionResetError)):
        _send_slowly(connection)


def _send_slowly(connection: socket.socket) -> None:
    connection.sendall(b"GET /metrics HTTP/1.1\r\n")
    while True:
        connection.sendall(b"X")
        time.sleep(0.02)


def test_more_silent_clients_than_connections_do_not_block_a_scrape(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_MOST_CONNECTIONS", 3)
    silent = [served.connect() for _ in range(10)]
    try:
        for _ in range(3):
            assert served.request("GET", "/metrics")[0].status == 200
        # The oldest were disconnected.
        assert silent[0].recv(1) == b""
    finally:
        for connection in silent:
            connection.close()


def test_connections_past_the_limit_are_refused_while_all_others_are_served(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_MOST_CONNECTIONS", 2)
    entered, leave = threading.Semaphore(0), threading.Event()

    def slow() -> bytes:
        entered.release()
        assert leave.wait(20)
        return _BODY

    served.scrape = slow
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(served.request("GET", "/metrics")[0].status)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert entered.acquire(timeout=20)
    with served.connect() as refused:
        assert refused.recv(1) == b""
    leave.set()
    for thread in threads:
        thread.join()
    assert found == [200, 200]


def test_client_that_reads_nothing_does_not_block_a_scrape(served: Served) -> None:
    served.scrape = lambda: b"a" * 20_000_000
    with served.connect() as slow:
        slow.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert slow.recv(1) == b"H"
        assert len(served.request("GET", "/metrics")[1]) == 20_000_000


def test_client_that_reads_too_slowly_is_disconnected(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_SECONDS_TO_RECEIVE", 0.05)
    served.scrape = lambda: b"a" * 20_000_000
    before = threading.active_count()
    with served.connect() as slow:
        slow.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert slow.recv(1) == b"H"
        for thread in threading.enumerate():
            if "process_request_thread" in thread.name:
                thread.join(20)
        assert threading.active_count() <= before


def test_stop_does_not_wait_for_clients(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\n")
        served.server.stop(5)
        again = Server("127.0.0.1", served.server.port, Application(lambda *_: b""), lambda: None)
        again.stop(5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_process_does_not_keep_the_port_and_ends_at_once(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\n")
        served.request("GET", "/metrics")
        until_parent_is_done, done = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(done)
            served.server.stop(5)
            os.read(until_parent_is_done, 1)
            os._exit(0)
        try:
            served.server.stop(5)
            again = Server("127.0.0.1", served.server.port, Application(lambda *_: b""), lambda: None)
            again.stop(5)
            connection.shutdown(socket.SHUT_WR)
            # The child has no copy of the connection either.
            while connection.recv(65536):
                pass
        finally:
            os.close(done)
            os.close(until_parent_is_done)
            assert os.waitpid(child, 0)[1] == 0


def test_address_family_follows_the_host() -> None:
    try:
        server = Server("::1", 0, Application(lambda *_: _BODY), lambda: None)
    except OSError:
        pytest.skip("needs IPv6")
    connection: Any = http.client.HTTPConnection("::1", server.port, timeout=20)
    connection.request("GET", "/metrics")
    assert connection.getresponse().read() == _BODY
    connection.close()
    server.stop(5)
