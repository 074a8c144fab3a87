"""The incident receiver on real sockets: clients that never complete a request, and a database that is not writable."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.support.incident_receiver import DELIVER, OPERATE, Receiver, status
from tests.support.running import eventually
from tests.unit.incidents.notifications import alert, payload

ATTACKER = "127.0.0.2"
OTHERS = "127.0.0.1"

HEAD = b"POST /webhook HTTP/1.1\r\nHost: receiver\r\n"
ATTACKS = {
    "nothing": b"",
    "half a header": HEAD,
    "half a body": HEAD + b"Content-Length: 100\r\n\r\n{",
    "half a chunked body": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "a body that is not continued": HEAD + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
    "a complete request, and no further one": b"GET /nothing HTTP/1.1\r\nHost: receiver\r\n\r\n",
    "half a header that is too large": HEAD + b"X: " + b"x" * 15_000,
    "requests whose answers are not read": b"GET /nothing HTTP/1.1\r\nHost: receiver\r\n\r\n" * 400,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("receiver")


@pytest.fixture(scope="module")
def receiver(folder: Path) -> Iterator[Receiver]:
    running = Receiver(folder, f"sqlite:///{folder / 'data' / 'incidents.db'}")
    try:
        running.start()
        yield running
    finally:
        running.stop()
        print(running.log.read_text()[-5000:])


@contextmanager
def attack(url: httpx.URL, sent: bytes, count: int = 400, source: str = ATTACKER) -> Iterator[list[socket.socket]]:
    """Connections that have sent these bytes and stay open."""
    with ExitStack() as opened:
        connections = []
        for _ in range(count):
            connection = opened.enter_context(socket.socket())
            connection.bind((source, 0))
            connection.connect((url.host, url.port))
            connection.setblocking(False)
            with suppress(OSError):
                connection.send(sent)
            connections.append(connection)
        yield connections


def answered(receiver: Receiver, source: str) -> list[int]:
    """The statuses for a notification, a query and a health check, each over its own connection."""
    found = []
    for method, path, token in (("POST", "webhook", DELIVER), ("GET", "incidents", OPERATE), ("GET", "healthz", "")):
        with httpx.Client(transport=httpx.HTTPTransport(local_address=source), timeout=30) as client:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            content = payload(alert()) if method == "POST" else None
            found.append(client.request(method, f"{receiver.url}/{path}", content=content, headers=headers).status_code)
    return found


@pytest.mark.parametrize("sent", ATTACKS.values(), ids=ATTACKS.keys())
def test_incomplete_requests_do_not_block_other_clients(receiver: Receiver, sent: bytes) -> None:
    with attack(httpx.URL(receiver.url), sent) as connections:
        assert answered(receiver, OTHERS) == [200, 200, 200]
        # Alertmanager may be behind the same proxy, or on the same node.
        assert answered(receiver, ATTACKER) == [200, 200, 200]
        # The connection of a client that continues byte by byte is closed too.
        eventually(lambda: still_open(connections), 0, 60)


def still_open(connections: list[socket.socket]) -> int:
    """Number of connections that the server has not closed; sends one more byte over each."""
    left = 0
    for connection in connections:
        try:
            connection.send(b"x")
            while connection.recv(65536):
                pass
        except BlockingIOError:
            left += 1
        except OSError:
            continue
    return left


def test_more_connections_than_the_limit_from_many_addresses(receiver: Receiver) -> None:
    with ExitStack() as attacks:
        for number in range(2, 26):
            attacks.enter_context(attack(httpx.URL(receiver.url), HEAD, 50, f"127.0.0.{number}"))
        assert answered(receiver, OTHERS) == [200, 200, 200]
        assert answered(receiver, ATTACKER) == [200, 200, 200]


def test_a_low_open_file_limit_is_enough(tmp_path: Path) -> None:
    limited = Receiver(tmp_path, f"sqlite:///{tmp_path / 'incidents.db'}")
    limited._command = ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh", *limited._command]
    try:
        limited.start()
        stop = threading.Event()
        connecting = threading.Thread(target=connect_until, args=(stop, httpx.URL(limited.url)))
        connecting.start()
        try:
            assert answered(limited, OTHERS) == [200, 200, 200]
            assert answered(limited, ATTACKER) == [200, 200, 200]
        finally:
            stop.set()
            connecting.join()
        assert "out of system resource" not in limited.log.read_text()
    finally:
        limited.stop()
        print(limited.log.read_text()[-5000:])


def connect_until(stop: threading.Event, url: httpx.URL) -> None:
    """Open up to 3,000 connections that send half a header."""
    with ExitStack() as opened:
        for _ in range(3000):
            if stop.is_set():
                return
            connection = opened.enter_context(socket.socket())
            connection.settimeout(5)
            with suppress(OSError):
                connection.bind((ATTACKER, 0))
                connection.connect((url.host, url.port))
                connection.send(HEAD)


def test_concurrent_notifications_are_all_recorded(receiver: Receiver) -> None:
    """Alertmanager sends one notification per group: hundreds at once in the first seconds of an outage."""
    body = payload(alert())
    request = HEAD + f"Authorization: Bearer {DELIVER}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    with attack(httpx.URL(receiver.url), request, 200, OTHERS) as connections:
        for connection in connections:
            connection.settimeout(60)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


@contextmanager
def small_disk(mountpoint: Path) -> Iterator[None]:
    mountpoint.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "trust-otel-test", str(mountpoint)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(mountpoint)], check=True)


def test_a_full_disk_is_unhealthy_until_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "data"):
        receiver = Receiver(tmp_path, f"sqlite:///{tmp_path / 'data' / 'incidents.db'}")
        try:
            receiver.start()
            assert status(f"{receiver.url}/healthz") == 200
            with (tmp_path / "data" / "fill").open("wb", buffering=0) as fill, suppress(OSError):
                while True:
                    fill.write(bytes(4096))
            eventually(lambda: status(f"{receiver.url}/healthz"), 503)
            assert httpx.get(f"{receiver.url}/healthz").json() == {
                "error": "the database is not writable: OperationalError: database or disk is full",
                "database": "down",
            }
            headers = {"Authorization": f"Bearer {DELIVER}"}
            delivery = httpx.post(f"{receiver.url}/webhook", content=payload(alert()), headers=headers)
            assert delivery.status_code == 503
            (tmp_path / "data" / "fill").unlink()
            eventually(lambda: status(f"{receiver.url}/healthz"), 200)
        finally:
            receiver.stop()


def test_a_database_that_another_program_has_locked_is_unhealthy(receiver: Receiver, folder: Path) -> None:
    assert status(f"{receiver.url}/healthz") == 200
    other = sqlite3.connect(folder / "data" / "incidents.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    eventually(lambda: status(f"{receiver.url}/healthz"), 503)
    other.execute("ROLLBACK")
    other.close()
    eventually(lambda: status(f"{receiver.url}/healthz"), 200)


def test_probes_do_not_multiply_writes(receiver: Receiver, folder: Path) -> None:
    """The health check needs no token."""
    watching = sqlite3.connect(folder / "data" / "incidents.db")
    seen = set()
    began = time.monotonic()
    with httpx.Client() as client:
        for _ in range(200):
            assert client.get(f"{receiver.url}/healthz").status_code == 200
            seen.add(watching.execute("SELECT at FROM trust_incidents_heartbeat").fetchone())
    watching.close()
    assert len(seen) <= 2 + (time.monotonic() - began) / 2


def test_a_client_cannot_fill_the_log_without_a_token(receiver: Receiver) -> None:
    with attack(httpx.URL(receiver.url), b"nonsense\r\n\r\n", 300) as connections:
        eventually(lambda: still_open(connections), 0, 60)
    assert 1 <= receiver.log.read_text().count("Invalid HTTP request") <= 5
