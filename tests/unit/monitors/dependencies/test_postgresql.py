"""Probe of PostgreSQL with misbehaving servers. For a real server see tests/integration."""

from __future__ import annotations

import logging
import socket

import pytest

from tests.unit.monitors.dependencies.conftest import Serve, checked, hang, reset, say

# Frontend/backend protocol 3.0: AuthenticationOk and ReadyForQuery; then the answer to a query that selects 1.
_WELCOME = b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I"
_ONE = (
    b"T\0\0\0\x21\0\x01?column?\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0"
    b"D\0\0\0\x0b\0\x01\0\0\0\x011"
    b"C\0\0\0\x0dSELECT 1\0"
    b"Z\0\0\0\x05I"
)
_PLAIN = "?sslmode=disable"


def answering(*answers: bytes) -> object:
    """Sends one response to each message."""

    def behave(connection: socket.socket) -> None:
        for answer in answers:
            connection.recv(65536)
            connection.sendall(answer)
        hang(connection)

    return behave


def test_server_that_answers_the_query_is_up(serve: Serve) -> None:
    server = serve(answering(_WELCOME, _ONE))
    assert checked(f"db=postgresql://user:secret@127.0.0.1:{server.port}/trust{_PLAIN}").up


def test_scheme_and_host_in_upper_case(serve: Serve, resolved: set[str]) -> None:
    server = serve(answering(_WELCOME, _ONE))
    assert checked(f"db=POSTGRESQL://user@DB.Example:{server.port}/trust{_PLAIN}").up
    assert resolved == {"DB.Example"}


@pytest.mark.parametrize("behaviour", [hang, answering(_WELCOME), answering(_WELCOME, _ONE[:40])])
def test_timeout(serve: Serve, behaviour: object) -> None:
    result = checked(f"db=postgresql://user:secret@127.0.0.1:{serve(behaviour).port}/trust{_PLAIN}", 0.3)
    assert (result.error_type, 0.3 <= result.seconds < 1) == ("timeout", True)


def test_timeout_of_the_ssl_request(serve: Serve) -> None:
    assert checked(f"db=postgresql://127.0.0.1:{serve(hang).port}/trust?sslmode=require", 0.3).error_type == "timeout"


@pytest.mark.parametrize("behaviour", [reset, say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), say(b"x" * 100_000)])
def test_other_protocol(serve: Serve, behaviour: object) -> None:
    for suffix in (_PLAIN, ""):
        result = checked(f"db=postgresql://127.0.0.1:{serve(behaviour).port}/trust{suffix}", 1)
        assert result.error_type == "unexpected_answer"


def test_server_without_tls(serve: Serve) -> None:
    server = serve(answering(b"N"))
    assert checked(f"db=postgresql://127.0.0.1:{server.port}/trust?sslmode=require").error_type == "tls"


def test_connection_refused_without_logging_the_password(closed_port: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    result = checked(f"db=postgresql://user:secret@127.0.0.1:{closed_port}/trust")
    assert result.error_type == "connection_refused"
    assert "secret" not in caplog.text


def test_name_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert checked("db=postgresql://db.test/trust").error_type == "name_resolution"
