"""`grpc.aio.server` and the channels of `grpc.aio`."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent import futures
from contextlib import asynccontextmanager
from typing import Any, cast
from weakref import ref

import grpc
import grpc.aio
import pytest

from trust_otel.instrumentation.grpc import GrpcInstrumentor

SERVICE = "test.v1.Service"

registering = pytest.mark.skipif(
    not hasattr(grpc.Server, "add_registered_method_handlers"), reason="this gRPC only has generic handlers"
)


class Service:
    """A handler for each outcome of a call, in each style of handler."""

    def __init__(self) -> None:
        self.entered = asyncio.Semaphore(0)
        self.release = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.thread_release = threading.Event()

    async def echo(self, request: bytes, context: Any) -> bytes:
        return request

    def sync_echo(self, request: bytes, context: Any) -> bytes:
        return request

    async def abort(self, request: bytes, context: Any) -> None:
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no", (("why", "because"),))

    def sync_abort(self, request: bytes, context: Any) -> None:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no", (("why", "because"),))

    async def set_code(self, request: bytes, context: Any) -> bytes:
        context.set_code(grpc.StatusCode.NOT_FOUND)
        return b""

    def sync_set_code(self, request: bytes, context: Any) -> bytes:
        context.set_code(grpc.StatusCode.NOT_FOUND)
        return b""

    async def fail(self, request: bytes, context: Any) -> bytes:
        raise ValueError("boom")

    def sync_fail(self, request: bytes, context: Any) -> bytes:
        raise ValueError("boom")

    async def nothing(self, request: bytes, context: Any) -> None:
        return None

    def sync_nothing(self, request: bytes, context: Any) -> None:
        return None

    async def wait(self, request: bytes, context: Any) -> bytes:
        self.entered.release()
        await self.release.wait()
        return request

    async def wait_stubbornly(self, request: bytes, context: Any) -> bytes:
        try:
            return await self.wait(request, context)
        except asyncio.CancelledError:
            return b"never mind"

    def sync_wait(self, request: bytes, context: Any) -> bytes:
        self.loop.call_soon_threadsafe(self.entered.release)
        self.thread_release.wait(20)
        return request

    async def collect(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"".join([request async for request in requests])

    async def collect_by_reading(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        collected = b""
        while (request := await context.read()) is not grpc.aio.EOF:
            collected += request
        return collected

    def sync_collect(self, requests: Iterator[bytes], context: Any) -> bytes:
        return b"".join(requests)

    async def count(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for number in range(int(request)):
            yield str(number).encode()

    async def count_by_writing(self, request: bytes, context: Any) -> None:
        for number in range(int(request)):
            await context.write(str(number).encode())

    def sync_count(self, request: bytes, context: Any) -> Iterator[bytes]:
        for number in range(int(request)):
            yield str(number).encode()

    async def count_then_fail(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"0"
        yield b"1"
        raise RuntimeError("boom")

    async def count_by_writing_then_fail(self, request: bytes, context: Any) -> None:
        await context.write(b"0")
        await context.write(b"1")
        raise RuntimeError("boom")

    def sync_count_then_fail(self, request: bytes, context: Any) -> Iterator[bytes]:
        yield b"0"
        yield b"1"
        raise RuntimeError("boom")

    async def count_then_wait(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for number in range(int(request)):
            yield str(number).encode()
        self.entered.release()
        await self.release.wait()

    async def count_by_writing_then_wait(self, request: bytes, context: Any) -> None:
        for number in range(int(request)):
            await context.write(str(number).encode())
        self.entered.release()
        await self.release.wait()

    def sync_count_then_wait(self, request: bytes, context: Any) -> Iterator[bytes]:
        for number in range(int(request)):
            yield str(number).encode()
        self.loop.call_soon_threadsafe(self.entered.release)
        self.thread_release.wait(20)

    async def endless(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        while True:
            yield b"again"

    async def chat(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request
            yield request

    async def chat_by_reading(self, requests: AsyncIterator[bytes], context: Any) -> None:
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(request)
            await context.write(request)

    def sync_chat(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for request in requests:
            yield request
            yield request

    def handlers(self) -> dict[str, Any]:
        make = {
            ("echo", "abort", "set_code", "fail", "wait", "wait_stubbornly"): grpc.unary_unary_rpc_method_handler,
            ("sync_echo", "sync_abort", "sync_set_code", "sync_fail"): grpc.unary_unary_rpc_method_handler,
            ("sync_wait",): grpc.unary_unary_rpc_method_handler,
            ("collect", "collect_by_reading", "sync_collect"): grpc.stream_unary_rpc_method_handler,
            ("count", "count_by_writing", "sync_count", "endless"): grpc.unary_stream_rpc_method_handler,
            ("count_then_fail", "count_by_writing_then_fail"): grpc.unary_stream_rpc_method_handler,
            ("sync_count_then_fail", "count_then_wait"): grpc.unary_stream_rpc_method_handler,
            ("count_by_writing_then_wait", "sync_count_then_wait"): grpc.unary_stream_rpc_method_handler,
            ("chat", "chat_by_reading", "sync_chat"): grpc.stream_stream_rpc_method_handler,
        }
        handlers: dict[str, Any] = {
            name: handler(getattr(self, name)) for names, handler in make.items() for name in names
        }
        unary = grpc.unary_unary_rpc_method_handler
        handlers["unreadable"] = unary(self.echo, request_deserializer=int)
        handlers["nothing"] = unary(self.nothing, response_serializer=bytes.strip)
        handlers["sync_nothing"] = unary(self.sync_nothing, response_serializer=bytes.strip)
        return handlers


class Client:
    """Calls methods by name."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel

    def unary(self, method: str) -> Any:
        return self.channel.unary_unary(f"/{SERVICE}/{method}")

    def client_stream(self, method: str) -> Any:
        return self.channel.stream_unary(f"/{SERVICE}/{method}")

    def server_stream(self, method: str) -> Any:
        return self.channel.unary_stream(f"/{SERVICE}/{method}")

    def bidi(self, method: str) -> Any:
        return self.channel.stream_stream(f"/{SERVICE}/{method}")


@asynccontextmanager
async def running(*, client_interceptors: Any = None, registered: bool = False, **options: Any) -> AsyncIterator[Any]:
    service = Service()
    pool = futures.ThreadPoolExecutor(8)
    server = grpc.aio.server(pool, **options)
    if registered:
        server.add_registered_method_handlers(SERVICE, service.handlers())
    else:
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, service.handlers()),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", interceptors=client_interceptors) as channel:
            yield service, Client(channel), server
    finally:
        service.release.set()
        service.thread_release.set()
        await server.stop(None)
        # Its threads may still use the event loop.
        await asyncio.to_thread(pool.shutdown)


@pytest.fixture
def settle(settled: Any) -> Any:
    async def wait(server: int | None = None, client: int | None = None) -> None:
        await asyncio.to_thread(settled, server, client)

    return wait


def both(recorded: Any, *expected: Any) -> None:
    """Assert the same calls on server and client, except for the class of the server's exception."""
    assert recorded.calls("server") == {expected: 1}
    method, kind, status, _error = expected
    assert recorded.calls("client") == {(method, kind, status, None if status == "OK" else status): 1}


@pytest.mark.parametrize("registered", [False, pytest.param(True, marks=registering)])
@pytest.mark.parametrize("method", ["echo", "sync_echo"])
async def test_unary_call_counts_one_message_in_each_direction(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any, method: str, registered: bool
) -> None:
    async with running(registered=registered) as (_service, client, _server):
        assert await client.unary(method)(b"hello") == b"hello"
        await settle(1, 1)
    both(recorded, f"{SERVICE}/{method}", "unary", "OK", None)
    assert recorded.messages("server") == {"received": 1, "sent": 1}
    assert recorded.messages("client") == {"received": 1, "sent": 1}


@pytest.mark.parametrize("prefix", ["", "sync_"])
@pytest.mark.parametrize(
    ("method", "status", "error"),
    [
        ("abort", "FAILED_PRECONDITION", "FAILED_PRECONDITION"),
        ("set_code", "NOT_FOUND", "NOT_FOUND"),
        ("fail", "UNKNOWN", "ValueError"),
        ("nothing", "UNKNOWN", "TypeError"),
    ],
)
async def test_failed_unary_call_has_its_status(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any, prefix: str, method: str, status: str, error: str
) -> None:
    async with running() as (_service, client, _server):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await client.unary(prefix + method)(b"x")
        assert raised.value.code().name == status
        if method == "abort":
            assert tuple(raised.value.trailing_metadata()) == (("why", "because"),)
            assert raised.value.details() == "no"
        await settle(1, 1)
    both(recorded, f"{SERVICE}/{prefix}{method}", "unary", status, error)
    assert recorded.messages("server") == {"received": 1}
    assert recorded.messages("client") == {"sent": 1}


async def test_request_that_cannot_be_deserialized_is_unknown(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any
) -> None:
    async with running() as (_service, client, _server):
        with pytest.raises(grpc.aio.AioRpcError):
            await client.unary("unreadable")(b"not a number")
        await settle(1, 1)
    both(recorded, f"{SERVICE}/unreadable", "unary", "UNKNOWN", "ValueError")
    assert recorded.messages("server") == {}


async def _requests(*requests: bytes) -> AsyncIterator[bytes]:
    for request in requests:
        yield request


@pytest.mark.parametrize("method", ["collect", "collect_by_reading", "sync_collect"])
@pytest.mark.parametrize("style", ["iterator", "write"])
async def test_client_stream_counts_every_request(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any, method: str, style: str
) -> None:
    async with running() as (_service, client, _server):
        if style == "iterator":
            assert await client.client_stream(method)(_requests(b"a", b"b", b"c")) == b"abc"
        else:
            call = client.client_stream(method)()
            for request in (b"a", b"b", b"c"):
                await call.write(request)
            await call.done_writing()
            assert await call == b"abc"
        await settle(1, 1)
    both(recorded, f"{SERVICE}/{method}", "client_stream", "OK", None)
    assert recorded.messages("server") == {"received": 3, "sent": 1}
    assert recorded.messages("client") == {"received": 1, "sent": 3}


@pytest.mark.parametrize("method", ["count", "count_by_writing", "sync_count"])
@pytest.mark.parametrize("style", ["iterator", "read"])
async def test_server_stream_counts_every_response(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any, method: str, style: str
) -> None:
    async with running() as (_service, client, _server):
        call = client.server_stream(method)(b"5")
        received = []
        if style == "iterator":
            received = [response async for response in call]
        else:
            while (response := await call.read()) is not grpc.aio.EOF:
                received.append(response)
        assert received == [b"0", b"1", b"2", b"3", b"4"]
        await settle(1, 1)
    both(recorded, f"{SERVICE}/{method}", "server_stream", "OK", None)
    assert recorded.messages("server") == {"received": 1, "sent": 5}
    assert recorded.messages("client") == {"received": 5, "sent": 1}


@pytest.mark.parametrize("method", ["count_then_fail", "count_by_writing_then_fail", "sync_count_then_fail"])
async def test_failed_stream_counts_the_messages_sent_before(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any, method: str
) -> None:
    async with running() as (_service, client, _server):
        with pytest.raises(grpc.aio.AioRpcError):
            _ = [response async for response in client.server_stream(method)(b"x")]
        await settle(1, 1)
    both(recorded, f"{SERVICE}/{method}", "server_stream", "UNKNOWN", "RuntimeError")
    assert recorded.messages("server") == {"received": 1, "sent": 2}
    assert recorded.messages("client") == {"received": 2, "sent": 1}


@pytest.mark.parametrize("method", ["chat", "chat_by_reading", "sync_chat"])
async def test_bidi_stream_counts_messages_in_both_directions(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any, method: str
) -> None:
    async with running() as (_service, client, _server):
        call = client.bidi(method)(_requests(b"a", b"b", b"c"))
        assert [response async for response in call] == [b"a", b"a", b"b", b"b", b"c", b"c"]
        await settle(1, 1)
    both(recorded, f"{SERVICE}/{method}", "bidi_stream", "OK", None)
    assert recorded.messages("server") == {"received": 3, "sent": 6}
    assert recorded.messages("client") == {"received": 6, "sent": 3}


async def test_unknown_methods_share_one_series(instrumentor: GrpcInstrumentor, recorded: Any, settle: Any) -> None:
    async with running() as (_service, client, _server):
        for number in range(50):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await client.unary(f"random{number}")(b"")
            assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        await settle(50, 50)
    assert recorded.calls("server") == {("_OTHER", "_OTHER", "UNIMPLEMENTED", "UNIMPLEMENTED"): 50}


class _Refuse(grpc.aio.ServerInterceptor):
    """Refuses every call before the method is looked up."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        async def abort(request: Any, context: Any) -> None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you")

        return grpc.unary_unary_rpc_method_handler(abort)


class _Break(grpc.aio.ServerInterceptor):
    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        raise LookupError("no such tenant")


async def test_call_refused_by_an_interceptor_is_counted(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any
) -> None:
    async with running(interceptors=(_Refuse(),)) as (_service, client, _server):
        for method in ("echo", "random"):
            with pytest.raises(grpc.aio.AioRpcError):
                await client.unary(method)(b"")
        await settle(2, 2)
    assert recorded.calls("server") == {
        (f"{SERVICE}/echo", "unary", "UNAUTHENTICATED", "UNAUTHENTICATED"): 1,
        ("_OTHER", "_OTHER", "UNAUTHENTICATED", "UNAUTHENTICATED"): 1,
    }


async def test_exception_in_an_interceptor_is_unknown(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any
) -> None:
    async with running(interceptors=[_Break()]) as (_service, client, _server):
        with pytest.raises(grpc.aio.AioRpcError):
            await client.unary("echo")(b"")
        await settle(1, 1)
    both(recorded, f"{SERVICE}/echo", "unary", "UNKNOWN", "LookupError")


@pytest.mark.parametrize("method", ["wait", "sync_wait"])
async def test_exceeded_deadline_is_recorded_on_both_sides(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any, method: str
) -> None:
    async with running() as (_service, client, _server):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await client.unary(method)(b"", timeout=0.2)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await settle(1, 1)
    both(recorded, f"{SERVICE}/{method}", "unary", "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")


@pytest.mark.parametrize(
    "method",
    [
        "wait",
        "sync_wait",
        pytest.param(
            "wait_stubbornly",
            marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="a task does not tell that it was cancelled"),
        ),
    ],
)
async def test_cancelled_call_ends_immediately_on_both_sides(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any, method: str
) -> None:
    async with running() as (service, client, _server):
        call = client.unary(method)(b"")
        await service.entered.acquire()
        assert recorded.active("server") == recorded.active("client") == 1
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await settle(1, 1)
    both(recorded, f"{SERVICE}/{method}", "unary", "CANCELLED", "CANCELLED")


async def test_call_cancelled_before_sending_ends(instrumentor: GrpcInstrumentor, recorded: Any, settle: Any) -> None:
    async with running() as (_service, client, _server):
        assert client.unary("echo")(b"").cancel()
        await settle(None, 1)
    assert recorded.calls("client") == {(f"{SERVICE}/echo", "unary", "CANCELLED", "CANCELLED"): 1}


async def test_cancelled_task_ends_its_call(instrumentor: GrpcInstrumentor, recorded: Any, settle: Any) -> None:
    async with running() as (_service, client, _server):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.unary("wait")(b""), 0.2)
        await settle(1, 1)
    both(recorded, f"{SERVICE}/wait", "unary", "CANCELLED", "CANCELLED")


@pytest.mark.parametrize("method", ["count_then_wait", "count_by_writing_then_wait", "sync_count_then_wait"])
async def test_cancelled_stream_counts_the_messages_sent_before(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any, method: str
) -> None:
    async with running() as (service, client, _server):
        call = client.server_stream(method)(b"3")
        assert [await call.read() for _ in range(3)] == [b"0", b"1", b"2"]
        await service.entered.acquire()
        call.cancel()
        await settle(1, 1)
    both(recorded, f"{SERVICE}/{method}", "server_stream", "CANCELLED", "CANCELLED")
    assert recorded.messages("server") == {"received": 1, "sent": 3}
    assert recorded.messages("client") == {"received": 3, "sent": 1}


class _PassStreams(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(client_call_details, request)


async def _cancels_abandoned_streams(client: Client, reads: int) -> bool:
    call = client.server_stream("endless")(b"")
    for _ in range(reads):
        await call.read()
    await asyncio.sleep(0.05)
    kept = ref(call)
    del call
    for _ in range(5):
        gc.collect()
        await asyncio.sleep(0.02)
    return kept() is None


@pytest.mark.parametrize("interceptors", [None, [_PassStreams()]])
@pytest.mark.parametrize("reads", [0, 1])
async def test_abandoned_stream_behaves_as_without_instrumentation(
    metrics: Any, recorded: Any, settle: Any, reads: int, interceptors: Any
) -> None:
    async with running(client_interceptors=interceptors) as (_service, client, _server):
        cancels = await _cancels_abandoned_streams(client, reads)  # depends on the version of gRPC
    instrumentor = GrpcInstrumentor()
    instrumentor.instrument(metrics=metrics)
    try:
        async with running(client_interceptors=interceptors) as (_service, client, _server):
            assert await _cancels_abandoned_streams(client, reads) == cancels
            if not cancels:
                await client.channel.close()
            await settle(1, 1)
    finally:
        instrumentor.uninstrument()
    both(recorded, f"{SERVICE}/endless", "server_stream", "CANCELLED", "CANCELLED")


async def test_calls_without_a_server_are_unavailable_and_send_nothing(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any
) -> None:
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        client = Client(channel)
        with pytest.raises(grpc.aio.AioRpcError):
            await client.unary("echo")(b"")
        with pytest.raises(grpc.aio.AioRpcError):
            await client.client_stream("collect")(_requests(b"a", b"b"))
        with pytest.raises(grpc.aio.AioRpcError):
            _ = [response async for response in client.server_stream("count")(b"1")]
        with pytest.raises(grpc.aio.AioRpcError):
            _ = [response async for response in client.bidi("chat")(_requests(b"a", b"b"))]
        await settle(0, 4)
    assert {status for _m, _t, status, _e in recorded.calls("client")} == {"UNAVAILABLE"}
    assert recorded.messages("client") == {}


async def test_call_on_a_closed_channel_raises_the_original_error(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any
) -> None:
    channel = grpc.aio.insecure_channel("127.0.0.1:1")
    await channel.close()
    with pytest.raises(grpc.aio.UsageError):
        cast(Any, channel.unary_unary("/a/b"))(b"")
    await settle(0, 1)
    assert [status for _m, _t, status, _e in recorded.calls("client")] == ["UNKNOWN"]


async def test_calls_over_the_limit_are_resource_exhausted(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any
) -> None:
    async with running(maximum_concurrent_rpcs=1) as (service, client, _server):
        waiting = client.unary("wait")(b"")
        await service.entered.acquire()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await client.unary("echo")(b"", timeout=1)
        if raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            pytest.skip("this gRPC lets calls over the limit wait")
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        service.release.set()
        await waiting
        await settle(2, 2)
    assert recorded.calls("server") == {
        (f"{SERVICE}/echo", "unary", "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"): 1,
        (f"{SERVICE}/wait", "unary", "OK", None): 1,
    }


@pytest.mark.parametrize("method", ["wait", "sync_wait"])
async def test_server_stop_ends_running_calls(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any, method: str
) -> None:
    async with running() as (service, client, server):
        calls = [client.unary(method)(b"") for _ in range(3)]
        for _ in calls:
            await service.entered.acquire()
        await server.stop(None)
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, grpc.aio.AioRpcError) for result in results)
        await settle(3, 3)
    assert recorded.calls("server") == {(f"{SERVICE}/{method}", "unary", "UNAVAILABLE", "UNAVAILABLE"): 3}


async def test_calls_are_the_objects_of_grpc(instrumentor: GrpcInstrumentor, recorded: Any, settle: Any) -> None:
    async with running() as (_service, client, _server):
        call = client.unary("echo")(b"x", timeout=5)
        assert type(call) is cast(Any, grpc.aio)._call.UnaryUnaryCall
        assert 0 < call.time_remaining() <= 5
        assert await call == b"x"
        assert type(client.server_stream("count")(b"1")) is cast(Any, grpc.aio)._call.UnaryStreamCall
        assert isinstance(client.channel, grpc.aio.Channel)
        await client.channel.channel_ready()


async def test_interceptors_of_the_service_receive_the_original_calls(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any
) -> None:
    seen: list[bytes] = []

    class Note(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
            seen.append(client_call_details.method)
            if request == b"break":
                raise LookupError("no such tenant")
            return await continuation(client_call_details, request)

    async with running(client_interceptors=[Note()]) as (_service, client, _server):
        assert await client.unary("echo")(b"x") == b"x"
        with pytest.raises(LookupError):
            await client.unary("echo")(b"break")
        await settle(1, 2)
    assert len(seen) == 2
    assert recorded.calls("client") == {
        (f"{SERVICE}/echo", "unary", "OK", None): 1,
        (f"{SERVICE}/echo", "unary", "UNKNOWN", "LookupError"): 1,
    }


@pytest.mark.parametrize("ours_first", [True, False])
async def test_calls_are_measured_once_with_upstream_spans(
    metrics: Any, recorded: Any, settle: Any, ours_first: bool
) -> None:
    from opentelemetry.instrumentation.grpc import GrpcAioInstrumentorClient, GrpcAioInstrumentorServer
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(exporter))
    ours: tuple[Any, dict[str, Any]] = (GrpcInstrumentor(), {"metrics": metrics})
    theirs: list[tuple[Any, dict[str, Any]]] = [
        (GrpcAioInstrumentorServer(), {"tracer_provider": tracing}),
        (GrpcAioInstrumentorClient(), {"tracer_provider": tracing}),
    ]
    instrumentors = [ours, *theirs] if ours_first else [*theirs, ours]
    for instrumentor, options in instrumentors:
        instrumentor.instrument(**options)
    try:
        async with running() as (_service, client, _server):
            assert await client.unary("echo")(b"x") == b"x"
            assert [response async for response in client.server_stream("count")(b"2")] == [b"0", b"1"]
            with pytest.raises(grpc.aio.AioRpcError):
                await client.unary("fail")(b"x")
            await settle(3, 3)
    finally:
        for instrumentor, _options in reversed(instrumentors):
            instrumentor.uninstrument()
    assert recorded.calls("server") == {
        (f"{SERVICE}/echo", "unary", "OK", None): 1,
        (f"{SERVICE}/count", "server_stream", "OK", None): 1,
        (f"{SERVICE}/fail", "unary", "UNKNOWN", "ValueError"): 1,
    }
    assert recorded.messages("client") == {"received": 3, "sent": 3}
    assert len(exporter.get_finished_spans()) == 6


async def test_uninstrument_stops_recording_for_existing_servers_and_channels(metrics: Any, recorded: Any) -> None:
    instrumentor = GrpcInstrumentor()
    instrumentor.instrument(metrics=metrics)
    async with running() as (_service, client, _server):
        instrumentor.uninstrument()
        assert await client.unary("echo")(b"x") == b"x"
        assert [response async for response in client.bidi("chat")(_requests(b"a"))] == [b"a", b"a"]
    assert recorded.calls("server") == recorded.calls("client") == {}


async def test_many_concurrent_calls_are_all_counted(
    instrumentor: GrpcInstrumentor, recorded: Any, settle: Any
) -> None:
    async with running() as (_service, client, _server):

        async def chat() -> None:
            _ = [response async for response in client.bidi("chat")(_requests(b"a", b"b"))]

        await asyncio.gather(*(chat() for _ in range(200)))
        await settle(200, 200)
    assert recorded.messages("server") == {"received": 400, "sent": 800}
    assert recorded.messages("client") == {"received": 800, "sent": 400}
