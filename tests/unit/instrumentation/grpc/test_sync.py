"""`grpc.server` and the channels of `grpc`."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any, cast

import grpc
import grpc.experimental
import pytest

from trust_otel.instrumentation.grpc import GrpcInstrumentor
from trust_otel.instrumentation.grpc.calls import Recording
from trust_otel.instrumentation.grpc.client import MeasuredChannel
from trust_otel.metrics import recorder_of
from trust_otel.security.client_address import TrustedProxies

SERVICE = "test.v1.Service"

registering = pytest.mark.skipif(
    not hasattr(grpc.Server, "add_registered_method_handlers"), reason="this gRPC only has generic handlers"
)


class Service:
    """A handler for each outcome of a call."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.entered = threading.Semaphore(0)
        self.closed = threading.Event()

    def echo(self, request: bytes, context: Any) -> bytes:
        return request

    def abort(self, request: bytes, context: Any) -> None:
        context.set_trailing_metadata((("why", "because"),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no")

    def set_code(self, request: bytes, context: Any) -> bytes:
        context.set_code(grpc.StatusCode.NOT_FOUND)
        return b""

    def set_ok(self, request: bytes, context: Any) -> bytes:
        context.set_code(grpc.StatusCode.OK)
        return b""

    def fail(self, request: bytes, context: Any) -> bytes:
        raise ValueError("boom")

    def fail_with_code(self, request: bytes, context: Any) -> bytes:
        context.set_code(grpc.StatusCode.DATA_LOSS)
        raise KeyError("boom")

    def nothing(self, request: bytes, context: Any) -> None:
        return None

    def wait(self, request: bytes, context: Any) -> bytes:
        self.entered.release()
        assert self.release.wait(20)
        return request

    def collect(self, requests: Iterator[bytes], context: Any) -> bytes:
        return b"".join(requests)

    def first_only(self, requests: Iterator[bytes], context: Any) -> bytes:
        return next(requests)

    def count(self, request: bytes, context: Any) -> Iterator[bytes]:
        for number in range(int(request)):
            yield str(number).encode()

    def count_list(self, request: bytes, context: Any) -> Iterator[bytes]:
        return iter([str(number).encode() for number in range(int(request))])

    def count_then_fail(self, request: bytes, context: Any) -> Iterator[bytes]:
        yield b"0"
        yield b"1"
        raise RuntimeError("boom")

    def count_then_abort(self, request: bytes, context: Any) -> Iterator[bytes]:
        yield b"0"
        context.abort(grpc.StatusCode.OUT_OF_RANGE, "far")

    def count_then_wait(self, request: bytes, context: Any) -> Iterator[bytes]:
        try:
            for number in range(int(request)):
                yield str(number).encode()
            self.entered.release()
            while context.is_active():
                self.release.wait(0.01)
            yield b"too late"
        finally:
            self.closed.set()

    def chat(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for request in requests:
            yield request
            yield request

    def handlers(self) -> dict[str, Any]:
        unary = ("echo", "abort", "set_code", "set_ok", "fail", "fail_with_code", "wait")
        server_streams = ("count", "count_list", "count_then_fail", "count_then_abort", "count_then_wait")
        return {
            **{name: grpc.unary_unary_rpc_method_handler(getattr(self, name)) for name in unary},
            **{name: grpc.unary_stream_rpc_method_handler(getattr(self, name)) for name in server_streams},
            "nothing": grpc.unary_unary_rpc_method_handler(self.nothing, response_serializer=bytes.strip),
            "unreadable": grpc.unary_unary_rpc_method_handler(self.echo, request_deserializer=int),
            "collect": grpc.stream_unary_rpc_method_handler(self.collect),
            "first_only": grpc.stream_unary_rpc_method_handler(self.first_only),
            "chat": grpc.stream_stream_rpc_method_handler(self.chat),
        }


class Client:
    """Calls methods by name."""

    def __init__(self, channel: Any, target: str = "") -> None:
        self.channel = channel
        self.target = target

    def unary(self, method: str) -> Any:
        return self.channel.unary_unary(f"/{SERVICE}/{method}")

    def client_stream(self, method: str) -> Any:
        return self.channel.stream_unary(f"/{SERVICE}/{method}")

    def server_stream(self, method: str) -> Any:
        return self.channel.unary_stream(f"/{SERVICE}/{method}")

    def bidi(self, method: str) -> Any:
        return self.channel.stream_stream(f"/{SERVICE}/{method}")


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.release.set()


@contextmanager
def running(service: Service, *, workers: int = 8, registered: bool = False, **options: Any) -> Iterator[Any]:
    with futures.ThreadPoolExecutor(workers) as pool:
        server = grpc.server(pool, **options)
        if registered:
            server.add_registered_method_handlers(SERVICE, service.handlers())
        else:
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, service.handlers()),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield server, Client(channel, f"127.0.0.1:{port}")
        finally:
            service.release.set()
            server.stop(None).wait()


def both(recorded: Any, *expected: Any) -> None:
    """Assert the same calls on server and client, except for the class of the server's exception."""
    assert recorded.calls("server") == {expected: 1}
    method, kind, status, _error = expected
    assert recorded.calls("client") == {(method, kind, status, None if status == "OK" else status): 1}


@pytest.mark.parametrize("registered", [False, pytest.param(True, marks=registering)])
def test_unary_call_counts_one_message_in_each_direction(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service, registered: bool
) -> None:
    with running(service, registered=registered) as (_server, client):
        assert client.unary("echo")(b"hello") == b"hello"
        settled(1, 1)
    both(recorded, f"{SERVICE}/echo", "unary", "OK", None)
    assert recorded.messages("server") == {"received": 1, "sent": 1}
    assert recorded.messages("client") == {"received": 1, "sent": 1}


@pytest.mark.parametrize(
    ("method", "status", "error"),
    [
        ("abort", "FAILED_PRECONDITION", "FAILED_PRECONDITION"),
        ("set_code", "NOT_FOUND", "NOT_FOUND"),
        ("fail", "UNKNOWN", "ValueError"),
        ("fail_with_code", "DATA_LOSS", "KeyError"),
        ("nothing", "INTERNAL", "TypeError"),
    ],
)
def test_failed_unary_call_has_its_status(
    instrumentor: GrpcInstrumentor,
    recorded: Any,
    settled: Any,
    service: Service,
    method: str,
    status: str,
    error: str,
) -> None:
    with running(service) as (_server, client):
        with pytest.raises(grpc.RpcError) as raised:
            client.unary(method)(b"x")
        assert raised.value.code().name == status
        if method == "abort":
            metadata: Any = raised.value.trailing_metadata()
            assert metadata == (("why", "because"),)
            assert raised.value.details() == "no"
        settled(1, 1)
    both(recorded, f"{SERVICE}/{method}", "unary", status, error)
    assert recorded.messages("server") == {"received": 1}
    assert recorded.messages("client") == {"sent": 1}


def test_status_ok_that_the_handler_sets_counts_the_response(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service) as (_server, client):
        assert client.unary("set_ok")(b"x") == b""
        settled(1, 1)
    both(recorded, f"{SERVICE}/set_ok", "unary", "OK", None)
    assert recorded.messages("server") == {"received": 1, "sent": 1}


def test_request_that_cannot_be_deserialized_is_internal(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service) as (_server, client):
        with pytest.raises(grpc.RpcError):
            client.unary("unreadable")(b"not a number")
        settled(1, 1)
    both(recorded, f"{SERVICE}/unreadable", "unary", "INTERNAL", "ValueError")
    assert recorded.messages("server") == {}


def test_client_stream_counts_every_request(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service) as (_server, client):
        assert client.client_stream("collect")(iter([b"a", b"b", b"c"])) == b"abc"
        settled(1, 1)
    both(recorded, f"{SERVICE}/collect", "client_stream", "OK", None)
    assert recorded.messages("server") == {"received": 3, "sent": 1}
    assert recorded.messages("client") == {"received": 1, "sent": 3}


def test_server_counts_only_requests_that_the_handler_read(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service) as (_server, client):
        assert client.client_stream("first_only")(request_iterator=iter([b"a"])) == b"a"
        settled(1, 1)
    assert recorded.messages("server") == {"received": 1, "sent": 1}


@pytest.mark.parametrize("method", ["count", "count_list"])
def test_server_stream_counts_every_response(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service, method: str
) -> None:
    with running(service) as (_server, client):
        assert list(client.server_stream(method)(b"5")) == [b"0", b"1", b"2", b"3", b"4"]
        settled(1, 1)
    both(recorded, f"{SERVICE}/{method}", "server_stream", "OK", None)
    assert recorded.messages("server") == {"received": 1, "sent": 5}
    assert recorded.messages("client") == {"received": 5, "sent": 1}


def test_stream_without_a_response_is_ok(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service) as (_server, client):
        assert list(client.server_stream("count")(b"0")) == []
        settled(1, 1)
    both(recorded, f"{SERVICE}/count", "server_stream", "OK", None)


@pytest.mark.parametrize(
    ("method", "sent", "status", "error"),
    [
        ("count_then_fail", 2, "UNKNOWN", "RuntimeError"),
        ("count_then_abort", 1, "OUT_OF_RANGE", "OUT_OF_RANGE"),
    ],
)
def test_failed_stream_counts_the_messages_sent_before(
    instrumentor: GrpcInstrumentor,
    recorded: Any,
    settled: Any,
    service: Service,
    method: str,
    sent: int,
    status: str,
    error: str,
) -> None:
    with running(service) as (_server, client):
        with pytest.raises(grpc.RpcError):
            list(client.server_stream(method)(b"x"))
        settled(1, 1)
    both(recorded, f"{SERVICE}/{method}", "server_stream", status, error)
    assert recorded.messages("server") == {"received": 1, "sent": sent}
    assert recorded.messages("client") == {"received": sent, "sent": 1}


def test_bidi_stream_counts_messages_in_both_directions(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service) as (_server, client):
        assert list(client.bidi("chat")(iter([b"a", b"b", b"c"]))) == [b"a", b"a", b"b", b"b", b"c", b"c"]
        settled(1, 1)
    both(recorded, f"{SERVICE}/chat", "bidi_stream", "OK", None)
    assert recorded.messages("server") == {"received": 3, "sent": 6}
    assert recorded.messages("client") == {"received": 6, "sent": 3}


def test_unknown_methods_share_one_series(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service) as (_server, client):
        for number in range(50):
            with pytest.raises(grpc.RpcError) as raised:
                client.unary(f"random{number}")(b"")
            assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        settled(50, 50)
    assert recorded.calls("server") == {("_OTHER", "_OTHER", "UNIMPLEMENTED", "UNIMPLEMENTED"): 50}


class _CatchAll(grpc.GenericRpcHandler):
    def service(self, handler_call_details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: request)


def test_methods_of_a_generic_handler_share_one_series(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service, handlers=iter([_CatchAll()])) as (_server, client):
        for number in range(5):
            assert client.unary(f"random{number}")(b"x") == b"x"
        settled(5, 5)
    assert recorded.calls("server") == {("_OTHER", "_OTHER", "OK", None): 5}


class _BrokenService(grpc.ServiceRpcHandler):
    def service_name(self) -> str:
        return "broken"

    def service(self, handler_call_details: Any) -> Any:
        raise LookupError("broken")


def test_service_handler_that_raises_is_unknown(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service, handlers=(_BrokenService(),)) as (_server, client):
        with pytest.raises(grpc.RpcError) as raised:
            client.unary("random")(b"")
        assert raised.value.code() is grpc.StatusCode.UNKNOWN
        settled(1, 1)
    assert recorded.calls("server") == {("_OTHER", "_OTHER", "UNKNOWN", "LookupError"): 1}


class _Refuse(grpc.ServerInterceptor):
    """Refuses every call before the method is looked up."""

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        def abort(request: Any, context: Any) -> None:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you")

        return grpc.unary_unary_rpc_method_handler(abort)


class _Break(grpc.ServerInterceptor):
    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        raise LookupError("no such tenant")


@pytest.mark.parametrize("positional", [False, True])
def test_call_refused_by_an_interceptor_is_counted(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service, positional: bool
) -> None:
    with futures.ThreadPoolExecutor(2) as pool:
        handlers = [grpc.method_handlers_generic_handler(SERVICE, service.handlers())]
        if positional:
            server = grpc.server(pool, handlers, [_Refuse()])
        else:
            server = grpc.server(pool, handlers=handlers, interceptors=[_Refuse()])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            client = Client(channel)
            with pytest.raises(grpc.RpcError):
                client.unary("echo")(b"")
            with pytest.raises(grpc.RpcError):
                list(client.bidi("chat")(iter([b"a"])))
            with pytest.raises(grpc.RpcError):
                client.unary("random")(b"")
            settled(3, 3)
        server.stop(None).wait()
    status = ("UNAUTHENTICATED", "UNAUTHENTICATED")
    assert recorded.calls("server") == {
        (f"{SERVICE}/echo", "unary", *status): 1,
        (f"{SERVICE}/chat", "bidi_stream", *status): 1,
        ("_OTHER", "_OTHER", *status): 1,
    }


def test_exception_in_an_interceptor_is_unknown(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service, interceptors=[_Break()]) as (_server, client):
        with pytest.raises(grpc.RpcError):
            client.unary("echo")(b"")
        settled(1, 1)
    both(recorded, f"{SERVICE}/echo", "unary", "UNKNOWN", "LookupError")


def test_exceeded_deadline_is_recorded_on_both_sides(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service) as (_server, client):
        with pytest.raises(grpc.RpcError) as raised:
            client.unary("wait")(b"", timeout=0.2)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        settled(1, 1)
    both(recorded, f"{SERVICE}/wait", "unary", "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    assert recorded.longest("server") == pytest.approx(0.2, abs=0.1)


def test_cancelled_future_ends_immediately_on_both_sides(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service) as (_server, client):
        future = client.unary("wait").future(b"")
        service.entered.acquire()
        assert recorded.active("server") == recorded.active("client") == 1
        assert future.cancel()
        settled(1, 1)
        assert future.cancelled()
    both(recorded, f"{SERVICE}/wait", "unary", "CANCELLED", "CANCELLED")


def test_cancelled_stream_counts_the_messages_sent_before(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service) as (_server, client):
        stream = client.server_stream("count_then_wait")(b"3")
        assert [next(stream), next(stream), next(stream)] == [b"0", b"1", b"2"]
        service.entered.acquire()
        stream.cancel()
        settled(1, 1)
        assert service.closed.wait(5)
    both(recorded, f"{SERVICE}/count_then_wait", "server_stream", "CANCELLED", "CANCELLED")
    assert recorded.messages("server") == {"received": 1, "sent": 3}
    assert recorded.messages("client") == {"received": 3, "sent": 1}


@pytest.mark.parametrize("read", [0, 1])
def test_abandoned_stream_is_cancelled(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service, read: int
) -> None:
    with running(service) as (_server, client):
        stream = client.server_stream("count_then_wait")(b"1")
        for _ in range(read):
            next(stream)
        service.entered.acquire(timeout=1) if read else None
        del stream
        gc.collect()
        settled(1 if read else None, 1)
    assert recorded.calls("client") == {(f"{SERVICE}/count_then_wait", "server_stream", "CANCELLED", "CANCELLED"): 1}


class _EndedBeforeItsCallback:
    """A call whose status has arrived, but whose callbacks have not run yet."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] = []

    def add_callback(self, callback: Callable[[], None]) -> bool:
        self.callbacks.append(callback)
        return True

    def is_active(self) -> bool:
        return False

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.OK

    def __next__(self) -> bytes:
        return b"only"


def test_stream_dropped_after_its_status_has_that_status(metrics: Any, recorded: Any) -> None:
    callbacks: list[list[Callable[[], None]]] = []

    class Channel:
        def unary_stream(self, method: str) -> Any:
            def call(request: bytes) -> Any:
                running = _EndedBeforeItsCallback()
                callbacks.append(running.callbacks)
                return running

            return call

    stream = MeasuredChannel(Channel(), Recording(recorder_of(metrics), TrustedProxies(()))).unary_stream("/a/b")(b"")
    assert next(stream) == b"only"
    assert recorded.calls("client") == {}
    del stream
    callbacks[0][0]()
    assert recorded.calls("client") == {("a/b", "server_stream", "OK", None): 1}
    assert recorded.messages("client") == {"received": 1, "sent": 1}


def test_abandoned_future_with_a_callback_is_not_cancelled(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    results: futures.Future[bytes] = futures.Future()
    with running(service) as (_server, client):
        client.unary("wait").future(b"kept").add_done_callback(lambda future: results.set_result(future.result()))
        gc.collect()
        service.release.set()
        assert results.result(5) == b"kept"
        settled(1, 1)
    both(recorded, f"{SERVICE}/wait", "unary", "OK", None)


def test_with_call_and_future_are_measured_like_plain_calls(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service) as (_server, client):
        response, call = client.unary("echo").with_call(b"x")
        assert (response, call.code()) == (b"x", grpc.StatusCode.OK)
        future = client.unary("echo").future(request=b"y")
        assert isinstance(future, grpc.Future)
        assert future.result() == b"y"
        response, _call = client.client_stream("collect").with_call(iter([b"z"]))
        assert client.client_stream("collect").future(iter([b"z"])).result() == response
        settled(4, 4)
    assert recorded.calls("client") == {
        (f"{SERVICE}/echo", "unary", "OK", None): 2,
        (f"{SERVICE}/collect", "client_stream", "OK", None): 2,
    }
    assert recorded.messages("client") == {"received": 4, "sent": 4}


def test_calls_without_a_server_are_unavailable_and_send_nothing(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any
) -> None:
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        client = Client(channel)
        with pytest.raises(grpc.RpcError):
            client.unary("echo")(b"")
        with pytest.raises(grpc.RpcError):
            client.unary("echo").future(b"").result()
        with pytest.raises(grpc.RpcError):
            list(client.server_stream("count")(b"1"))
        with pytest.raises(grpc.RpcError):
            list(client.bidi("chat")(iter([b"a", b"b"])))
        settled(0, 4)
    assert recorded.calls("client") == {
        (f"{SERVICE}/echo", "unary", "UNAVAILABLE", "UNAVAILABLE"): 2,
        (f"{SERVICE}/count", "server_stream", "UNAVAILABLE", "UNAVAILABLE"): 1,
        (f"{SERVICE}/chat", "bidi_stream", "UNAVAILABLE", "UNAVAILABLE"): 1,
    }
    assert recorded.messages("client") == {}


def test_call_on_a_closed_channel_raises_the_original_error(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any
) -> None:
    channel = grpc.insecure_channel("127.0.0.1:1")
    channel.close()
    with pytest.raises(ValueError, match="Cannot invoke RPC"):
        cast(Any, channel.unary_unary("/a/b"))(b"")
    with pytest.raises(ValueError, match="Cannot invoke RPC"):
        cast(Any, channel.unary_stream("/a/b"))(b"")
    settled(0, 2)
    assert set(recorded.calls("client")) == {
        ("a/b", "unary", "UNKNOWN", "ValueError"),
        ("a/b", "server_stream", "UNKNOWN", "ValueError"),
    }


def test_calls_over_the_limit_are_resource_exhausted(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service, maximum_concurrent_rpcs=1) as (_server, client):
        waiting = client.unary("wait").future(b"")
        service.entered.acquire()
        with pytest.raises(grpc.RpcError) as raised:
            client.unary("echo")(b"")
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        service.release.set()
        waiting.result()
        settled(2, 2)
    assert recorded.calls("server") == {
        (f"{SERVICE}/echo", "unary", "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"): 1,
        (f"{SERVICE}/wait", "unary", "OK", None): 1,
    }


def test_call_cancelled_while_queued_ends(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service, workers=1) as (_server, client):
        waiting = client.unary("wait").future(b"")
        service.entered.acquire()
        queued = client.unary("echo").future(b"")
        while recorded.active("server") < 2:
            pass
        queued.cancel()
        # The cancellation must reach the server before the worker is free; there is no event to wait for.
        time.sleep(0.5)
        service.release.set()
        waiting.result()
        settled(2, 2)
    assert recorded.calls("server") == {
        (f"{SERVICE}/echo", "unary", "CANCELLED", "CANCELLED"): 1,
        (f"{SERVICE}/wait", "unary", "OK", None): 1,
    }


def test_server_stop_ends_running_calls(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service) as (server, client):
        calls = [client.unary("wait").future(b"") for _ in range(3)]
        for _ in calls:
            service.entered.acquire()
        stopped = server.stop(0)
        for call in calls:
            assert call.exception() is not None
        settled(3, 3)
        service.release.set()
        stopped.wait()
    assert recorded.calls("server") == {(f"{SERVICE}/wait", "unary", "UNAVAILABLE", "UNAVAILABLE"): 3}


def test_duration_includes_the_time_in_the_worker_queue(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service, workers=1) as (_server, client):
        waiting = client.unary("wait").future(b"")
        service.entered.acquire()
        queued = client.unary("echo").future(b"")
        threading.Event().wait(0.2)
        service.release.set()
        queued.result()
        waiting.result()
        settled(2, 2)
    durations = {point.attributes["rpc.method"]: point.sum for point in recorded._points("rpc.server.call.duration")}
    assert durations[f"{SERVICE}/echo"] >= 0.15


def test_non_blocking_handler_keeps_its_calling_convention(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    def push(request: bytes, context: Any, send: Callable[[Any], None]) -> None:
        for number in range(int(request)):
            send(str(number).encode())
        send(None)

    push.experimental_non_blocking = True  # type: ignore[attr-defined]
    handlers: dict[str, Any] = {"push": grpc.unary_stream_rpc_method_handler(push)}
    generic = grpc.method_handlers_generic_handler("other", handlers)
    with running(service, handlers=(generic,)) as (_server, client):
        assert list(cast(Any, client.channel.unary_stream("/other/push"))(b"3")) == [b"0", b"1", b"2"]
        settled(1, 1)
    both(recorded, "other/push", "server_stream", "OK", None)
    assert recorded.messages("server") == {"received": 1, "sent": 3}


def test_single_threaded_stream_is_measured(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service) as (_server, client):
        option = (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1)
        with grpc.insecure_channel(client.target, options=[option]) as channel:
            assert list(Client(channel).server_stream("count")(b"3")) == [b"0", b"1", b"2"]
            cancelled = Client(channel).server_stream("count_then_wait")(b"1")
            assert next(cancelled) == b"0"
            cancelled.cancel()
            settled(2, 2)
    assert recorded.messages("client") == {"received": 4, "sent": 2}


def test_interceptors_of_the_service_receive_the_original_calls(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    seen: list[str] = []

    class Note(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
        def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
            seen.append(client_call_details.method)
            return continuation(client_call_details, request)

        def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
            seen.append(client_call_details.method)
            return (response for response in continuation(client_call_details, request))

    with running(service) as (_server, client):
        intercepted = Client(grpc.intercept_channel(client.channel, Note()))
        assert intercepted.unary("echo")(b"x") == b"x"
        assert intercepted.unary("echo").future(b"x").result() == b"x"
        assert list(intercepted.server_stream("count")(b"2")) == [b"0", b"1"]
        grpc.channel_ready_future(client.channel).result(5)
        settled(3, 3)
    assert seen == [f"/{SERVICE}/echo", f"/{SERVICE}/echo", f"/{SERVICE}/count"]


@pytest.mark.parametrize("ours_first", [True, False])
def test_calls_are_measured_once_with_upstream_spans(
    metrics: Any, recorded: Any, settled: Any, service: Service, ours_first: bool
) -> None:
    from opentelemetry.instrumentation.grpc import GrpcInstrumentorClient, GrpcInstrumentorServer
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(exporter))
    ours: tuple[Any, dict[str, Any]] = (GrpcInstrumentor(), {"metrics": metrics})
    theirs: list[tuple[Any, dict[str, Any]]] = [
        (GrpcInstrumentorServer(), {"tracer_provider": tracing}),
        (GrpcInstrumentorClient(), {}),
    ]
    instrumentors = [ours, *theirs] if ours_first else [*theirs, ours]
    for instrumentor, options in instrumentors:
        instrumentor.instrument(**options)
    try:
        with running(service, interceptors=[]) as (_server, client):
            assert client.unary("echo")(b"x") == b"x"
            assert list(client.server_stream("count")(b"2")) == [b"0", b"1"]
            with pytest.raises(grpc.RpcError):
                client.unary("fail")(b"x")
            settled(3, 3)
    finally:
        for instrumentor, _options in reversed(instrumentors):
            instrumentor.uninstrument()
    assert recorded.calls("server") == {
        (f"{SERVICE}/echo", "unary", "OK", None): 1,
        (f"{SERVICE}/count", "server_stream", "OK", None): 1,
        (f"{SERVICE}/fail", "unary", "UNKNOWN", "ValueError"): 1,
    }
    assert recorded.messages("client") == {"received": 3, "sent": 3}
    assert len([span for span in exporter.get_finished_spans() if span.kind.name == "SERVER"]) == 3


def test_uninstrument_restores_functions_and_stops_recording(metrics: Any, recorded: Any, service: Service) -> None:
    before = (grpc.server, grpc.insecure_channel, grpc.secure_channel, grpc.aio.server, grpc.aio.insecure_channel)
    instrumentor = GrpcInstrumentor()
    instrumentor.instrument(metrics=metrics)
    with running(service) as (_server, client):
        instrumentor.uninstrument()
        assert client.unary("echo")(b"x") == b"x"
        assert list(client.bidi("chat")(iter([b"a"]))) == [b"a", b"a"]
    assert recorded.calls("server") == recorded.calls("client") == {}
    after = (grpc.server, grpc.insecure_channel, grpc.secure_channel, grpc.aio.server, grpc.aio.insecure_channel)
    assert after == before


def test_export_of_telemetry_is_not_measured(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    from opentelemetry.instrumentation.utils import suppress_instrumentation

    with running(service) as (_server, client):
        with suppress_instrumentation():
            client.unary("echo")(b"x")
            list(client.server_stream("count")(b"1"))
            client.unary("echo").future(b"x").result()
        settled(3, 0)


def test_many_calls_from_many_threads_are_all_counted(
    instrumentor: GrpcInstrumentor, recorded: Any, settled: Any, service: Service
) -> None:
    with running(service) as (_server, client), futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: list(client.bidi("chat")(iter([b"a", b"b"]))), range(200)))
        settled(200, 200)
    both_ways = {"received": 400, "sent": 800}
    assert recorded.messages("server") == both_ways
    assert recorded.messages("client") == {"received": 800, "sent": 400}
