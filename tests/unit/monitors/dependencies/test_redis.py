"""Probe of Redis with fake servers. For a real server see tests/integration."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from tests.unit.monitors.dependencies.conftest import HOSTS, LOOPBACK, Authority, Serve, checked, hang, reset, say


def conversation(received: list[bytes], *answers: bytes) -> Callable[[socket.socket], None]:
    """Stores each command and sends one response to each."""

    def behave(connection: socket.socket) -> None:
        for answer in answers:
            received.append(connection.recv(65536))
            connection.sendall(answer)
        hang(connection)

    return behave


def test_auth_and_select_before_ping(serve: Serve) -> None:
    received: list[bytes] = []
    server = serve(conversation(received, b"+OK\r\n", b"+OK\r\n", b"+PONG\r\n"))
    assert checked(f"cache=redis://us%40er:se%2Fcret@127.0.0.1:{server.port}/3").up
    assert received == [
        b"*3\r\n$4\r\nAUTH\r\n$5\r\nus@er\r\n$7\r\nse/cret\r\n",
        b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n",
        b"*1\r\n$4\r\nPING\r\n",
    ]


def test_tls_is_verified(serve: Serve, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(say(b"+PONG\r\n"), tls=authority.context(LOOPBACK))
    assert checked(f"cache=rediss://127.0.0.1:{server.port}").up
    monkeypatch.delenv("SSL_CERT_FILE")
    assert checked(f"cache=rediss://127.0.0.1:{server.port}").error_type == "tls"


@HOSTS
def test_dot_at_the_end_of_the_host_is_not_part_of_the_verified_name(
    serve: Serve, authority: Authority, resolved: set[str], host: str, name: str, asked: str
) -> None:
    context, names = authority.recording_context(asked)
    answers = (b"+OK\r\n", b"+PONG\r\n") if "@" in host else (b"+PONG\r\n",)
    server = serve(conversation([], *answers), tls=context)
    assert checked(f"cache=rediss://{host}:{server.port}").up
    assert (resolved, names) == ({name}, [asked])


@pytest.mark.parametrize(
    ("answer", "error_type"),
    [
        (b"-NOAUTH Authentication required.\r\n", "authentication"),
        (b"-NOPERM User x has no permissions to run the 'ping' command\r\n", "authentication"),
        (b"-DENIED Redis is running in protected mode\r\n", "authentication"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "not_serving"),
        (b"-MASTERDOWN Link with MASTER is down\r\n", "not_serving"),
        (b"-ERR max number of clients reached\r\n", "not_serving"),
        (b"-ERR unknown command\r\n", "unexpected_answer"),
        (b"HTTP/1.1 400 Bad Request\r\n", "unexpected_answer"),
        (b"x" * 100_000 + b"\r\n", "unexpected_answer"),
    ],
)
def test_error_response_is_down(serve: Serve, answer: bytes, error_type: str) -> None:
    result = checked(f"cache=redis://127.0.0.1:{serve(say(answer)).port}")
    assert (result.up, result.error_type) == (False, error_type)


def drip_pluses(connection: socket.socket) -> None:
    """Send an endless line, one byte at a time."""
    while True:
        connection.sendall(b"+")
        time.sleep(0.02)


@pytest.mark.parametrize(("scheme", "behaviour"), [("redis", hang), ("redis", drip_pluses), ("rediss", hang)])
def test_timeout(serve: Serve, scheme: str, behaviour: object) -> None:
    result = checked(f"cache={scheme}://127.0.0.1:{serve(behaviour).port}", 0.3)
    assert (result.error_type, 0.3 <= result.seconds < 1) == ("timeout", True)


def test_connection_reset_and_refused(serve: Serve, closed_port: int) -> None:
    assert checked(f"cache=redis://127.0.0.1:{serve(reset).port}").error_type == "unexpected_answer"
    assert checked(f"cache=redis://127.0.0.1:{closed_port}").error_type == "connection_refused"
