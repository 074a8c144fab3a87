"""Measured servers, channels and handlers look and fail like the originals."""

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
import pytest

from trust_otel.instrumentation.grpc import GrpcInstrumentor
from trust_otel.instrumentation.grpc.aio_server import AioServerInterceptor
from trust_otel.instrumentation.grpc.calls import Recording
from trust_otel.instrumentation.grpc.methods import Methods
from trust_otel.instrumentation.grpc.server import ServerInterceptor
from trust_otel.metrics import recorder_of
from trust_otel.security.client_address import TrustedProxies

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")

_WRONG_CALLS: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = (
    ((), {}),
    ((1,) * 12, {}),
    (("/service/method",), {"method": "/service/method"}),
    (("/service/method", str.encode), {"request_serializer": str.encode}),
    (("/service/method",), {"unheard_of": 1}),
    ((), {"unheard_of": 1}),
)

_WRONG_CALLS_OF_A_METHOD: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = (
    ((), {}),
    ((1,) * 12, {}),
    ((1,), {"unheard_of": 1}),
)


def _described(function: Any) -> dict[str, Any]:
    return {
        "signature": inspect.signature(function),
        "names": [getattr(function, name, None) for name in ("__name__", "__qualname__", "__module__", "__doc__")],
        "kinds": [
            test(function)
            for test in (
                inspect.isfunction,
                inspect.ismethod,
                inspect.iscoroutinefunction,
                inspect.isgeneratorfunction,
                inspect.isasyncgenfunction,
            )
        ],
        "wrong calls": [_outcome(function, *call) for call in _WRONG_CALLS],
    }


def _outcome(function: Any, args: Any, kwargs: Any) -> tuple[str, str]:
    try:
        function(*args, **kwargs)
    except TypeError as error:
        return "failed", str(error)
    except Exception as error:
        return "failed", type(error).__name__
    return "returned", ""


def _described_channel(channel: Any) -> dict[str, Any]:
    described: dict[str, Any] = {"channel": isinstance(channel, (grpc.Channel, grpc.aio.Channel))}
    for kind in KINDS:
        described[kind] = _described(getattr(channel, kind))
        callable_ = getattr(channel, kind)(
            "/service/method", request_serializer=str.encode, response_deserializer=bytes.decode
        )
        described[f"{kind} callable"] = (
            inspect.signature(callable_),
            [_outcome(callable_, *call) for call in _WRONG_CALLS_OF_A_METHOD],
        )
        for name in ("with_call", "future"):
            if hasattr(callable_, name):
                described[f"{kind} {name}"] = _described(getattr(callable_, name))
    return described


def test_sync_channels_look_like_the_originals(instrumentor: GrpcInstrumentor) -> None:
    with grpc.insecure_channel("localhost:1") as channel:
        measured = _described_channel(channel)
    instrumentor.uninstrument()
    with grpc.insecure_channel("localhost:1") as channel:
        assert measured == _described_channel(channel)


async def test_aio_channels_look_like_the_originals(instrumentor: GrpcInstrumentor) -> None:
    async with grpc.aio.insecure_channel("localhost:1") as channel:
        measured = _described_channel(channel)
    instrumentor.uninstrument()
    async with grpc.aio.insecure_channel("localhost:1") as channel:
        assert measured == _described_channel(channel)


async def test_aio_multicallables_accept_positional_arguments(instrumentor: GrpcInstrumentor) -> None:
    async with grpc.aio.insecure_channel("localhost:1") as channel:
        call = channel.unary_stream("/service/method", str.encode, bytes.decode, False)("message")  # type: ignore[call-arg]
        call.cancel()


def _described_server(server: Any) -> dict[str, Any]:
    kind = type(server)
    return {
        "kind": (kind.__name__, kind.__qualname__, kind.__module__, kind.__doc__),
        "server": isinstance(server, (grpc.Server, grpc.aio.Server)),
        "attributes": dir(server),
        "stop": (inspect.signature(server.stop), inspect.iscoroutinefunction(server.stop)),
        "methods": [
            _described(getattr(server, name)) for name in ("add_generic_rpc_handlers", "add_registered_method_handlers")
        ],
    }


@pytest.mark.parametrize("module", [grpc, grpc.aio], ids=["sync", "aio"])
async def test_servers_look_like_the_originals(instrumentor: GrpcInstrumentor, module: Any) -> None:
    with ThreadPoolExecutor(1) as pool:
        measured = module.server(pool)
        described = _described_server(measured)
        instrumentor.uninstrument()
        original = module.server(pool)
        assert isinstance(measured, type(original))
        assert described == _described_server(original)
        if module is grpc.aio:
            await measured.stop(None)
            await original.stop(None)


def test_server_that_cannot_be_tracked_is_returned_unchanged(recording: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Foreign:
        __slots__ = ()

    foreign = Foreign()
    monkeypatch.setattr(grpc, "server", lambda *args, **kwargs: foreign)
    instrumentor = GrpcInstrumentor()
    instrumentor.instrument(metrics=recording.metrics)
    try:
        server: object = grpc.server(ThreadPoolExecutor(1))
        assert server is foreign
    finally:
        instrumentor.uninstrument()
    assert recording.dropped() == {"internal_error": 1}


class Servicer:
    """A service with methods of every kind."""

    def plain(self, request: Any, context: Any) -> Any:
        """Documentation."""

    def generator(self, request: Any, context: Any) -> Any:
        """Documentation."""
        yield

    async def coroutine(self, request: Any, context: Any) -> Any:
        """Documentation."""

    async def stream(self, request: Any, context: Any) -> Any:
        """Documentation."""
        yield


class Callable_:  # noqa: N801 - not typing's
    """A callable object instead of a function."""

    experimental_non_blocking = False

    def __call__(self, request: Any, context: Any) -> Any:
        pass


def non_blocking(request: Any, context: Any, send: Any) -> None:
    """Documentation."""


non_blocking.experimental_non_blocking = True  # type: ignore[attr-defined]
non_blocking.experimental_thread_pool = None  # type: ignore[attr-defined]

MAKERS: dict[str, Callable[[Any], Any]] = {
    "unary_unary": grpc.unary_unary_rpc_method_handler,
    "unary_stream": grpc.unary_stream_rpc_method_handler,
    "stream_unary": grpc.stream_unary_rpc_method_handler,
    "stream_stream": grpc.stream_stream_rpc_method_handler,
}


class Details(grpc.HandlerCallDetails):
    method = "/service/method"
    invocation_metadata = ()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", ["sync", "aio"])
@pytest.mark.parametrize(
    "behavior",
    [
        Servicer().plain,
        Servicer().generator,
        Servicer().coroutine,
        Servicer().stream,
        Servicer.plain,
        non_blocking,
        Callable_(),
    ],
    ids=["plain", "generator", "coroutine", "stream", "function", "non-blocking", "object"],
)
async def test_handlers_look_like_the_originals(metrics: Any, behavior: Any, side: str, kind: str) -> None:
    handler = MAKERS[kind](behavior)
    recording = Recording(recorder_of(metrics), TrustedProxies(()))
    methods = Methods(recorder_of(metrics))
    if side == "sync":
        measured = ServerInterceptor(recording, methods).intercept_service(lambda _: handler, Details())
    else:

        async def continuation(_: Any) -> Any:
            return handler

        measured = await AioServerInterceptor(recording, methods).intercept_service(continuation, Details())

    standing_in = getattr(measured, kind)
    names = [getattr(behavior, name, None) for name in ("__name__", "__module__", "__doc__")]
    if names[0] is not None:
        assert [getattr(standing_in, name) for name in ("__name__", "__module__", "__doc__")] == names
    assert inspect.signature(standing_in) == inspect.signature(behavior)
    assert inspect.unwrap(standing_in) == behavior
    for test in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        assert test(standing_in) == test(behavior)
    for name in ("experimental_non_blocking", "experimental_thread_pool") if side == "sync" else ():
        assert getattr(standing_in, name, "none") == getattr(behavior, name, "none")
    assert [getattr(measured, name) is None for name in KINDS] == [getattr(handler, name) is None for name in KINDS]
    assert (measured.request_streaming, measured.response_streaming) == (
        handler.request_streaming,
        handler.response_streaming,
    )
    changed = measured._replace(request_streaming=False, **{kind: behavior})
    assert (changed.request_streaming, getattr(changed, kind)) == (False, behavior)
    assert isinstance(changed, grpc.RpcMethodHandler)


class _Seen:
    """The types of what a handler gets."""

    def __init__(self) -> None:
        self.types: list[type] = []

    async def aio(self, requests: Any, context: Any) -> bytes:
        return self.sync(requests, context)

    def sync(self, requests: Any, context: Any) -> bytes:
        self.types += [type(requests), type(context)]
        return b""


@pytest.mark.parametrize("kind", ["unary_unary", "stream_unary"])
async def test_aio_handlers_get_the_objects_of_grpc(instrumentor: GrpcInstrumentor, kind: str) -> None:
    measured, original = _Seen(), _Seen()
    await _call_on_aio(kind, measured.aio)
    instrumentor.uninstrument()
    await _call_on_aio(kind, original.aio)
    assert measured.types == original.types


async def _call_on_aio(kind: str, function: Any) -> None:
    handlers = grpc.method_handlers_generic_handler("service", {"method": MAKERS[kind](function)})
    server = grpc.aio.server(handlers=[handlers])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = getattr(channel, kind)("/service/method")
        await call(b"" if kind == "unary_unary" else iter([b""]))
    await server.stop(None)


@pytest.mark.parametrize("kind", ["unary_unary", "stream_unary"])
def test_sync_handlers_get_the_objects_of_grpc(instrumentor: GrpcInstrumentor, kind: str) -> None:
    measured, original = _Seen(), _Seen()
    _call_on_sync(kind, measured.sync)
    instrumentor.uninstrument()
    _call_on_sync(kind, original.sync)
    assert measured.types == original.types


def _call_on_sync(kind: str, function: Any) -> None:
    handlers = grpc.method_handlers_generic_handler("service", {"method": MAKERS[kind](function)})
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool, handlers=[handlers])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: Any = getattr(channel, kind)("/service/method")
            call(b"" if kind == "unary_unary" else iter([b""]))
        server.stop(None).wait()
