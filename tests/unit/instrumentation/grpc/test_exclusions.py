"""Services and kinds of servers and channels that settings exclude."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
import pytest

from trust_otel.instrumentation.grpc import GrpcInstrumentor
from trust_otel.instrumentation.grpc.excluded_services import excluded_methods
from trust_otel.metrics import TrustServiceMetrics

_EXCLUDED = "OTEL_PYTHON_GRPC_EXCLUDED_SERVICES"
_DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
_SERVICES = ("trust.v1.TrustService", "grpc.health.v1.Health")


def _answer(request: bytes, context: Any) -> bytes:
    return request


async def _answer_async(request: bytes, context: Any) -> bytes:
    return request


def _handlers(answer: Any) -> list[Any]:
    handler: Any = grpc.unary_unary_rpc_method_handler(answer)
    return [grpc.method_handlers_generic_handler(service, {"Check": handler}) for service in _SERVICES]


def _call_sync() -> None:
    server = grpc.server(ThreadPoolExecutor(2), handlers=_handlers(_answer))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            for service in _SERVICES:
                call: Any = channel.unary_unary(f"/{service}/Check")
                assert call(b"x") == b"x"
    finally:
        server.stop(None).wait()


async def _call_async() -> None:
    server = grpc.aio.server(handlers=_handlers(_answer_async))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            for service in _SERVICES:
                method: Any = channel.unary_unary(f"/{service}/Check")
                assert await method(b"x") == b"x"
    finally:
        await server.stop(None)


@pytest.fixture
def instrument(metrics: TrustServiceMetrics, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def start(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        GrpcInstrumentor().instrument(metrics=metrics)

    yield start
    GrpcInstrumentor().uninstrument()


def _services(recorded: Any, side: str) -> set[str]:
    return {method.rpartition("/")[0] for method, *_ in recorded.calls(side)}


@pytest.mark.parametrize(
    ("excluded", "measured"),
    [
        ("", {*_SERVICES}),
        ("grpc.health.v1.Health", {"trust.v1.TrustService"}),
        (" other, grpc.health.v1.Health ,", {"trust.v1.TrustService"}),
        ("grpc.health.v1", {*_SERVICES}),
        ("grpc.health.v1.health", {*_SERVICES}),
        (",".join(_SERVICES), set()),
    ],
)
async def test_excluded_services_have_no_series(
    instrument: Any, recorded: Any, settled: Any, excluded: str, measured: set[str]
) -> None:
    instrument(**{_EXCLUDED: excluded})
    _call_sync()
    await _call_async()
    settled(server=2 * len(measured), client=2 * len(measured))
    assert _services(recorded, "server") == _services(recorded, "client") == measured


@pytest.mark.parametrize(
    ("disabled", "servers", "clients"),
    [
        ("grpc_server", 2, 4),
        ("grpc_client", 4, 2),
        ("grpc_aio_server", 2, 4),
        ("grpc_aio_client", 4, 2),
        ("grpc_server,grpc_aio_client", 2, 2),
        ("Grpc_Server", 4, 4),
    ],
)
async def test_each_kind_can_be_disabled(
    instrument: Any, recorded: Any, settled: Any, disabled: str, servers: int, clients: int
) -> None:
    instrument(**{_DISABLED: disabled})
    _call_sync()
    await _call_async()
    settled(server=servers, client=clients)
    assert sum(recorded.calls("server").values()) == servers
    assert sum(recorded.calls("client").values()) == clients


def test_method_may_be_bytes_and_have_no_service() -> None:
    excluded = excluded_methods({_EXCLUDED: "a.B"})
    assert b"/a.B/C" in excluded
    assert "/a.B/C" in excluded
    assert "/a.B" not in excluded
    assert "" not in excluded
    assert "/a.B/C" not in excluded_methods({})
