"""A failure while a call is measured is counted, and the service does not see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import grpc
import grpc.aio
import pytest

from trust_otel.instrumentation.grpc.aio_client import MeasuredAioChannel
from trust_otel.instrumentation.grpc.aio_server import AioServerInterceptor
from trust_otel.instrumentation.grpc.calls import Recording
from trust_otel.instrumentation.grpc.client import MeasuredChannel
from trust_otel.instrumentation.grpc.methods import Methods
from trust_otel.instrumentation.grpc.server import ServerInterceptor
from trust_otel.security.client_address import TrustedProxies

MAKERS: dict[str, Callable[..., Any]] = {
    "unary_unary": grpc.unary_unary_rpc_method_handler,
    "unary_stream": grpc.unary_stream_rpc_method_handler,
}


class Broken:
    """A context or a call of which everything that is not defined fails."""

    def __getattr__(self, name: str) -> Any:
        def fail(*args: Any, **kwargs: Any) -> Any:
            raise LookupError(name)

        return fail


class Details(grpc.HandlerCallDetails):
    method = "/service/method"
    invocation_metadata = ()


class WithoutMetadata:
    method = "/service/method"


@pytest.fixture
def measuring(recording: Any) -> Recording:
    return Recording(recording.recorder, TrustedProxies(()))


def answer(request: Any, context: Any) -> bytes:
    if request == b"fail":
        raise ValueError("boom")
    return b"answer"


def answers(request: Any, context: Any) -> Iterator[bytes]:
    yield answer(request, context)


async def answer_later(request: Any, context: Any) -> bytes:
    return answer(request, context)


def intercepted(measuring: Recording, methods: Methods, handler: Any, details: Any) -> Any:
    """What the server gets instead of the handler; in a context of its own, as in gRPC."""
    interceptor = ServerInterceptor(measuring, methods)
    return copy_context().run(interceptor.intercept_service, lambda _: handler, details)


@pytest.mark.parametrize("request_", [b"", b"fail"])
@pytest.mark.parametrize(("kind", "function"), [("unary_unary", answer), ("unary_stream", answers)])
def test_context_that_fails_does_not_fail_a_sync_handler(
    recording: Any,
    measuring: Recording,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    function: Any,
    request_: bytes,
) -> None:
    def call() -> list[bytes]:
        handler = intercepted(measuring, Methods(recording.recorder), MAKERS[kind](function), Details())
        answered = getattr(handler, kind)(request_, Broken())
        return [answered] if kind == "unary_unary" else list(answered)

    if request_ == b"fail":
        with pytest.raises(ValueError, match="boom"):
            call()
    else:
        assert call() == [b"answer"]
        assert recording.value("trust.rpc.server.active_calls") == 0
    assert recording.dropped()["internal_error"] >= 2
    assert "started failed: LookupError at " in caplog.text


@pytest.mark.parametrize("request_", [b"", b"fail"])
async def test_context_that_fails_does_not_fail_an_aio_handler(
    recording: Any, measuring: Recording, request_: bytes
) -> None:
    async def continuation(_: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(answer_later)

    interceptor = AioServerInterceptor(measuring, Methods(recording.recorder))
    handler = await interceptor.intercept_service(continuation, Details())
    if request_ == b"fail":
        with pytest.raises(ValueError, match="boom"):
            await handler.unary_unary(request_, Broken())
    else:
        assert await handler.unary_unary(request_, Broken()) == b"answer"
    assert recording.dropped() == {"internal_error": 1}


async def test_details_that_cannot_be_read_leave_the_call_unmeasured(recording: Any, measuring: Recording) -> None:
    handler: Any = grpc.unary_unary_rpc_method_handler(answer)

    async def continuation(_: Any) -> Any:
        return handler

    methods = Methods(recording.recorder)
    details: Any = WithoutMetadata()
    assert intercepted(measuring, methods, handler, details) is handler
    assert await AioServerInterceptor(measuring, methods).intercept_service(continuation, details) is handler
    assert recording.dropped() == {"internal_error": 2}
    assert recording.value("trust.rpc.server.active_calls") == 0


async def test_handler_that_cannot_be_replaced_is_returned(recording: Any, measuring: Recording) -> None:
    handler = object()

    async def continuation(_: Any) -> Any:
        return handler

    methods = Methods(recording.recorder)
    assert intercepted(measuring, methods, handler, Details()) is handler
    assert await AioServerInterceptor(measuring, methods).intercept_service(continuation, Details()) is handler
    assert recording.dropped() == {"internal_error": 2}
    assert recording.value("trust.rpc.server.active_calls") == 0


class BrokenCall(Broken):
    """A running call that can be iterated over, but not observed."""

    def __iter__(self) -> Iterator[Any]:
        return iter([b"answer"])


class Channel(Broken):
    def unary_stream(self, method: str, *args: Any) -> Any:
        return lambda request: BrokenCall()


def test_call_that_cannot_be_observed_is_returned(recording: Any, measuring: Recording) -> None:
    running = MeasuredChannel(Channel(), measuring).unary_stream("/service/method")(b"")
    assert type(running) is BrokenCall
    assert list(running) == [b"answer"]
    assert recording.dropped() == {"internal_error": 1}
    assert recording.value("trust.rpc.client.active_calls") == 0


async def test_aio_call_that_cannot_be_observed_is_returned(recording: Any, measuring: Recording) -> None:
    running = MeasuredAioChannel(Channel(), measuring).unary_stream("/service/method")(b"")
    assert type(running) is BrokenCall
    assert recording.dropped() == {"internal_error": 1}
    assert recording.value("trust.rpc.client.active_calls") == 0


def test_method_name_that_is_no_text_leaves_the_call_unmeasured(recording: Any, measuring: Recording) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise LookupError("no name")

    name: Any = Unprintable()
    assert list(MeasuredChannel(Channel(), measuring).unary_stream(name)(b"")) == [b"answer"]
    assert recording.dropped() == {"internal_error": 1}


def test_server_answers_when_nothing_can_be_recorded(
    recording: Any, measuring: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a real server and its real contexts."""
    methods = Methods(recording.recorder)
    monkeypatch.setattr(methods, "find", Broken().find)
    handlers = grpc.method_handlers_generic_handler("service", {"method": grpc.unary_unary_rpc_method_handler(answer)})
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool, [handlers], [ServerInterceptor(measuring, methods)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: Any = channel.unary_unary("/service/method")
            assert call(b"") == b"answer"
        server.stop(None).wait()
    assert recording.dropped() == {"internal_error": 1}
