"""Probe of gRPC servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.conftest import Recording
from tests.unit.monitors.dependencies.conftest import (
    ELSEWHERE,
    LOOPBACK,
    VAULT,
    Authority,
    Serve,
    checked,
    hang,
    reset,
    say,
)
from trust_otel.instrumentation.grpc import GrpcInstrumentor

Start = Callable[..., int]


class Refusing(health_pb2_grpc.HealthServicer):
    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        context.abort(self._code, "no")


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a server, optionally with a health service, and returns its port."""
    made: list[tuple[grpc.Server, ThreadPoolExecutor]] = []

    def start(servicer: Any = None, credentials: grpc.ServerCredentials | None = None) -> int:
        pool = ThreadPoolExecutor(2)
        server = grpc.server(pool)
        made.append((server, pool))
        if servicer is not None:
            health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        if credentials is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        return port

    yield start
    for server, pool in made:
        server.stop(None).wait()
        pool.shutdown()


def servicer(status: int = health_pb2.HealthCheckResponse.SERVING, service: str = "") -> health.HealthServicer:
    made = health.HealthServicer()
    made.set(service, status)
    return made


@pytest.mark.parametrize("host", ["vault.example.", "VAULT.example.", "user:secret@vault.example."])
def test_dot_at_the_end_of_the_host_is_not_part_of_the_verified_name(
    start: Start, authority: Authority, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    port = start(servicer(), grpc.ssl_server_credentials([authority.issue(VAULT)]))
    original, targets = grpc.secure_channel, []

    def resolved(target: str, *arguments: Any) -> grpc.Channel:
        # The resolver of gRPC cannot be replaced.
        targets.append(target.lower())
        return original(f"127.0.0.1:{port}", *arguments)

    monkeypatch.setattr(grpc, "secure_channel", resolved)
    assert checked(f"peer=grpcs://{host}:{port}").up
    assert targets == [f"vault.example.:{port}"]


def test_serving_server_is_up(start: Start) -> None:
    assert checked(f"peer=grpc://127.0.0.1:{start(servicer())}").up


def test_path_is_the_checked_service(start: Start) -> None:
    port = start(servicer(service="trust.v1.Signatures"))
    assert checked(f"peer=grpc://127.0.0.1:{port}/trust.v1.Signatures").up
    assert checked(f"peer=grpc://127.0.0.1:{port}/trust.v1.Other").error_type == "not_serving"


def test_server_that_is_not_serving_is_down(start: Start) -> None:
    port = start(servicer(health_pb2.HealthCheckResponse.NOT_SERVING))
    result = checked(f"peer=grpc://127.0.0.1:{port}")
    assert (result.up, result.error_type) == (False, "not_serving")


def test_server_without_a_health_service_is_up(start: Start) -> None:
    assert checked(f"peer=grpc://127.0.0.1:{start()}").up


@pytest.mark.parametrize(
    ("code", "error_type"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "authentication"),
        (grpc.StatusCode.PERMISSION_DENIED, "authentication"),
        (grpc.StatusCode.INTERNAL, "unexpected_answer"),
    ],
)
def test_error_status_is_down(start: Start, code: grpc.StatusCode, error_type: str) -> None:
    assert checked(f"peer=grpc://127.0.0.1:{start(Refusing(code))}").error_type == error_type


def test_tls_is_verified(start: Start, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = start(servicer(), grpc.ssl_server_credentials([authority.issue(LOOPBACK)]))
    wrong = start(servicer(), grpc.ssl_server_credentials([authority.issue(ELSEWHERE)]))
    assert checked(f"peer=grpcs://127.0.0.1:{ours}").up
    assert checked(f"peer=grpcs://127.0.0.1:{wrong}").error_type == "tls"
    monkeypatch.delenv("SSL_CERT_FILE")
    assert checked(f"peer=grpcs://127.0.0.1:{ours}").error_type == "tls"


@pytest.mark.parametrize("scheme", ["grpc", "grpcs"])
def test_timeout(serve: Serve, scheme: str) -> None:
    result = checked(f"peer={scheme}://127.0.0.1:{serve(hang).port}", 0.3)
    assert (result.error_type, 0.3 <= result.seconds < 1) == ("timeout", True)


@pytest.mark.parametrize("behaviour", [reset, say(b"HTTP/1.1 400 Bad Request\r\n\r\n")])
def test_other_protocol(serve: Serve, behaviour: object) -> None:
    assert checked(f"peer=grpc://127.0.0.1:{serve(behaviour).port}", 2).error_type == "unexpected_answer"


def test_http2_without_grpc(serve: Serve) -> None:
    # SETTINGS, its acknowledgement, and on stream 1 the headers `:status: 404` (HPACK, static entry 13), end of stream.
    settings, acknowledgement = b"\0\0\0\x04\0\0\0\0\0", b"\0\0\0\x04\x01\0\0\0\0"
    not_found = b"\0\0\x01\x01\x05\0\0\0\x01\x8d"

    def behave(connection: Any) -> None:
        connection.sendall(settings)
        received = b""
        while b"grpc.health.v1" not in received:
            received += connection.recv(65536)
        connection.sendall(acknowledgement + not_found)
        hang(connection)

    assert checked(f"peer=grpc://127.0.0.1:{serve(behave).port}", 2).error_type == "unexpected_answer"


def test_connection_refused(closed_port: int) -> None:
    assert checked(f"peer=grpc://127.0.0.1:{closed_port}").error_type == "connection_refused"


def test_checks_are_not_instrumented(start: Start, recording: Recording) -> None:
    port = start(servicer())
    instrumentor = GrpcInstrumentor()
    instrumentor.instrument(metrics=recording.metrics)
    try:
        assert checked(f"peer=grpc://127.0.0.1:{port}").up
        assert recording.series("rpc.client.call.duration") == []
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            cast(Any, health_pb2_grpc.HealthStub(channel)).Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert recording.value("rpc.client.call.duration") == 1
    finally:
        instrumentor.uninstrument()
