"""The recorded status of a gRPC call is the one that its client receives, and the client notices no difference."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent import futures
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

import grpc
import grpc.aio
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tests.collected import points
from trust_otel.instrumentation.grpc import GrpcInstrumentor
from trust_otel.metrics import TrustServiceMetrics

T = TypeVar("T")

SERVICE = "test.v1.Status"

KINDS: dict[str, Any] = {
    "unary_unary": grpc.unary_unary_rpc_method_handler,
    "unary_stream": grpc.unary_stream_rpc_method_handler,
    "stream_unary": grpc.stream_unary_rpc_method_handler,
    "stream_stream": grpc.stream_stream_rpc_method_handler,
}

STREAMS = ("unary_stream", "stream_stream")

# How a handler is written: for `grpc`, as a coroutine or async generator, with `write` and `read`, or as a function
# for `grpc` that `grpc.aio` runs in a thread.
STYLES = ("sync", "aio", "writer", "thread")
CLIENTS = ("sync", "aio")

SECONDS_UNANSWERED = 0.5  # time that a client waits for a call that gRPC never answers

Step = Callable[[Any], Any]


@dataclass(frozen=True)
class Answer:
    """A response: returned, yielded or written."""

    message: Any


@dataclass(frozen=True)
class Case:
    """What a handler does, and the functions that convert its messages.

    Attributes:
        steps: What it does.
        unanswered: Styles in which gRPC sends no status, so that the client waits for its deadline.
        styles: Styles in which it can do that.
        kinds: Kinds of methods in which it can do that.
        deserializer: Converts its requests.
        serializer: Converts its responses.
        function: Is called instead of a handler that takes the steps.
    """

    steps: tuple[Answer | Step, ...]
    unanswered: tuple[str, ...] = ()
    styles: tuple[str, ...] = STYLES
    kinds: tuple[str, ...] = tuple(KINDS)
    deserializer: Callable[[bytes], Any] | None = None
    serializer: Callable[[Any], Any] | None = None
    function: Any = None


def fail(error: BaseException) -> Step:
    def step(_context: Any) -> None:
        raise error

    return step


def set_code(code: Any) -> Step:
    return lambda context: context.set_code(code)


def abort(code: Any, details: str = "no") -> Step:
    return lambda context: context.abort(code, details)


Status = namedtuple("Status", ["code", "details", "trailing_metadata"])


def abort_with(code: Any) -> Step:
    return lambda context: context.abort_with_status(Status(code, "no", (("why", "because"),)))


def suppressed(step: Step) -> Step:
    def run(context: Any) -> Any:
        try:
            result = step(context)
        except Exception:
            return None
        return _ignored(result) if inspect.isawaitable(result) else result

    return run


async def _ignored(awaitable: Any) -> None:
    try:
        await awaitable
    except Exception:
        return


def returning_none(_message: Any) -> None:
    return None


def raising(_message: Any) -> Any:
    raise ValueError("cannot be converted")


class Weird:
    value = (5, "not found")


def _read(requests: Any) -> None:
    if not isinstance(requests, (bytes, type(None))):
        for _ in requests:
            pass


async def _aio_read(requests: Any) -> None:
    if not isinstance(requests, (bytes, type(None))):
        async for _ in requests:
            pass


class Fatal(BaseException):
    """Stops what catches only Exception."""


class Text(bytes):
    """Bytes of another class."""


def _list_after_code(_requests: Any, context: Any) -> list[bytes]:
    context.set_code(NOT_FOUND)
    return [b"ok"]


async def _coroutine(requests: Any, _context: Any) -> bytes:
    await _aio_read(requests)
    return b"ok"


def _generator(_requests: Any, _context: Any) -> Iterator[bytes]:
    yield b"ok"


async def _async_generator(_requests: Any, _context: Any) -> AsyncIterator[bytes]:
    yield b"ok"


def _non_blocking(*sent: Any, code: Any = None) -> Any:
    def function(requests: Any, context: Any, send: Callable[[Any], None]) -> None:
        _read(requests)
        if code is not None:
            context.set_code(code)
        for message in sent:
            if isinstance(message, Exception):
                raise message
            send(message)

    function.experimental_non_blocking = True  # type: ignore[attr-defined]
    return function


OK = Answer(b"ok")
NOT_FOUND = grpc.StatusCode.NOT_FOUND
CASES: dict[str, Case] = {
    "answer": Case((OK,)),
    "nothing": Case(()),
    "none": Case((Answer(None),)),
    "none_serialized": Case((Answer(None),), serializer=bytes.strip),
    "code_then_none": Case((set_code(NOT_FOUND), Answer(None))),
    "code_then_none_serialized": Case((set_code(NOT_FOUND), Answer(None)), serializer=bytes.strip),
    "code_then_answer": Case((set_code(NOT_FOUND), OK)),
    "answer_then_code": Case((OK, set_code(NOT_FOUND))),
    "ok_set": Case((set_code(grpc.StatusCode.OK), OK)),
    "none_set": Case((set_code(None), OK), styles=("sync",)),
    "int": Case((set_code(5), OK)),
    "int_then_none": Case((set_code(5), Answer(None))),
    "bool": Case((set_code(True), OK)),
    "int_unknown": Case((set_code(99), OK)),
    "int_negative": Case((set_code(-1), OK)),
    "int_zero_after_code": Case((set_code(NOT_FOUND), set_code(0), OK)),
    "ok_after_code": Case((set_code(NOT_FOUND), set_code(grpc.StatusCode.OK), OK)),
    "code_text": Case((set_code("NOT_FOUND"), OK)),
    "code_http": Case((set_code(HTTPStatus.NOT_FOUND), OK)),
    "code_object": Case((set_code(object()), OK)),
    "code_weird": Case((set_code(Weird()), OK)),
    "code_float": Case((set_code(5.0), OK)),
    "code_tuple": Case((set_code((5, "not found")), OK)),
    "code_list": Case((set_code([]), OK), unanswered=("sync",)),
    "code_list_then_raise": Case((set_code([]), fail(ValueError("boom"))), unanswered=("sync",)),
    "details_only": Case((lambda c: c.set_details("fine"), OK)),
    "details_wrong": Case((lambda c: c.set_details(5), OK)),
    "trailing": Case((lambda c: c.set_trailing_metadata((("a", "b"),)), OK)),
    "trailing_wrong": Case((lambda c: c.set_trailing_metadata(5), OK), unanswered=("sync",)),
    "trailing_then_raise": Case((lambda c: c.set_trailing_metadata((("a", "b"),)), fail(ValueError("boom")))),
    "initial": Case((lambda c: c.send_initial_metadata((("a", "b"),)), OK)),
    # Without a pause, gRPC's aio client sometimes misses the metadata of a stream that fails at once.
    "initial_only": Case(
        (lambda c: c.send_initial_metadata((("a", "b"),)), lambda _: time.sleep(0.1), fail(ValueError("boom")))
    ),
    "abort": Case((abort(NOT_FOUND),)),
    # A response and `abort` overtake each other if a thread sends them.
    "abort_after_answer": Case((OK, abort(NOT_FOUND)), styles=("sync", "aio", "writer")),
    "abort_int": Case((abort(5),)),
    "abort_int_unknown": Case((abort(99),)),
    "abort_none": Case((abort(None),)),
    "abort_text": Case((abort("x"),)),
    "abort_list": Case((abort([]),), unanswered=("sync",)),
    "abort_ok": Case((abort(grpc.StatusCode.OK),), unanswered=("aio", "writer", "thread")),
    "abort_zero": Case((abort(0),), unanswered=("aio", "writer", "thread")),
    "abort_with": Case((abort_with(NOT_FOUND),)),
    "abort_with_int": Case((abort_with(5),)),
    "abort_with_ok": Case((abort_with(grpc.StatusCode.OK),), unanswered=("aio", "writer", "thread")),
    "abort_after_code": Case((set_code(grpc.StatusCode.ABORTED), abort(NOT_FOUND))),
    "abort_suppressed": Case((suppressed(abort(NOT_FOUND)), OK)),
    "abort_suppressed_raise": Case((suppressed(abort(NOT_FOUND)), fail(ValueError("boom")))),
    "abort_suppressed_code": Case(
        (suppressed(abort(NOT_FOUND)), set_code(grpc.StatusCode.ABORTED), OK), styles=("sync", "thread")
    ),
    "abort_twice": Case((suppressed(abort(NOT_FOUND)), abort(grpc.StatusCode.ABORTED))),
    "raise": Case((fail(ValueError("boom")),)),
    "raise_after_answer": Case((OK, fail(ValueError("boom")))),
    "raise_after_code": Case((set_code(NOT_FOUND), fail(ValueError("boom")))),
    "raise_after_int": Case((set_code(5), fail(ValueError("boom")))),
    "raise_after_ok": Case((set_code(grpc.StatusCode.OK), fail(ValueError("boom")))),
    "raise_after_zero": Case((set_code(0), fail(ValueError("boom")))),
    "raise_bare": Case((fail(Exception()),)),
    "raise_bare_after_code": Case((set_code(NOT_FOUND), fail(Exception()))),
    "raise_rpc_error": Case((fail(grpc.RpcError()),)),
    "raise_abort_error": Case((fail(grpc.aio.AbortError("mine")),)),
    "raise_internal": Case((fail(grpc.aio.InternalError("mine")),)),
    "raise_usage": Case((fail(grpc.aio.UsageError("mine")),)),
    "raise_timeout": Case((fail(TimeoutError()),)),
    "raise_future_cancelled": Case((fail(futures.CancelledError()),), unanswered=("thread",)),
    "raise_cancelled": Case((fail(asyncio.CancelledError()),), unanswered=STYLES),
    "raise_cancelled_after_code": Case(
        (
            set_code(NOT_FOUND),
            fail(asyncio.CancelledError()),
        ),
        unanswered=STYLES,
    ),
    "raise_generator_exit": Case((fail(GeneratorExit()),), unanswered=STYLES),
    "wrong_int": Case((Answer(5),), unanswered=("sync",)),
    "wrong_text": Case((Answer("text"),), unanswered=("sync",)),
    "wrong_bytearray": Case((Answer(bytearray(b"x")),), unanswered=("sync",)),
    "wrong_later": Case((OK, Answer(5)), kinds=("unary_stream", "stream_stream"), unanswered=("sync",)),
    "wrong_after_code": Case((set_code(NOT_FOUND), Answer(5)), unanswered=("sync",)),
    "wrong_serialized": Case((Answer(5),), serializer=bytes.strip),
    "wrong_serialized_after_code": Case((set_code(NOT_FOUND), Answer(5)), serializer=bytes.strip),
    "serializer_none": Case((OK,), serializer=returning_none),
    "serializer_none_after_code": Case((set_code(NOT_FOUND), OK), serializer=returning_none),
    "serializer_raises": Case((OK,), serializer=raising),
    "serializer_text": Case((OK,), serializer=bytes.decode, unanswered=("sync",)),
    "deserializer_none": Case((OK,), deserializer=returning_none),
    "deserializer_raises": Case((OK,), deserializer=raising),
    "code_deserializer_raises": Case((set_code(NOT_FOUND), OK), deserializer=raising),
    "code_deserializer_none": Case((set_code(NOT_FOUND), OK), deserializer=returning_none),
    "cancel": Case((lambda c: c.cancel(), OK)),
    "cancel_then_raise": Case((lambda c: c.cancel(), fail(ValueError("boom")))),
    "cancel_then_wait": Case((lambda c: c.cancel(), lambda c: time.sleep(0.05), OK)),
    "cancel_after_code": Case((set_code(NOT_FOUND), lambda c: c.cancel(), OK)),
    "raise_system_exit": Case((fail(SystemExit(1)),), styles=("sync",), unanswered=("sync",)),
    "raise_interrupt": Case((fail(KeyboardInterrupt()),), styles=("sync",), unanswered=("sync",)),
    "raise_base": Case((fail(Fatal()),), unanswered=STYLES),
    "raise_base_after_code": Case((set_code(NOT_FOUND), fail(Fatal())), unanswered=STYLES),
    "wrong_subclass": Case((Answer(Text(b"x")),), unanswered=("sync",)),
    "list": Case((), kinds=("unary_stream",), styles=("sync", "thread"), function=lambda *_: [b"ok"]),
    "iterator": Case((), kinds=("unary_stream",), styles=("sync", "thread"), function=lambda *_: iter([b"ok"])),
    "no_iterator": Case((), kinds=("unary_stream",), styles=("sync", "thread"), function=lambda *_: None),
    "number_for_stream": Case((), kinds=("unary_stream",), styles=("sync", "thread"), function=lambda *_: 5),
    "code_then_list": Case((), kinds=("unary_stream",), styles=("sync", "thread"), function=_list_after_code),
    "coroutine_for_sync": Case((), styles=("sync",), function=_coroutine, unanswered=("sync",)),
    "coroutine_returns": Case((), styles=("aio",), function=_coroutine),
    "generator_for_unary": Case(
        (), kinds=("unary_unary",), styles=("sync", "thread"), function=_generator, unanswered=("sync",)
    ),
    "async_generator_for_unary": Case((), kinds=("unary_unary",), styles=("aio",), function=_async_generator),
    "async_generator_for_sync": Case((), styles=("sync",), function=_async_generator, unanswered=("sync",)),
    "non_blocking": Case((), kinds=STREAMS, styles=("sync",), function=_non_blocking(b"ok", None)),
    "non_blocking_wrong": Case(
        (), kinds=STREAMS, styles=("sync",), function=_non_blocking(5, None), unanswered=("sync",)
    ),
    "non_blocking_unfinished": Case(
        (), kinds=STREAMS, styles=("sync",), function=_non_blocking(b"ok"), unanswered=("sync",)
    ),
    "non_blocking_code": Case((), kinds=STREAMS, styles=("sync",), function=_non_blocking(b"ok", None, code=5)),
    "non_blocking_raises": Case((), kinds=STREAMS, styles=("sync",), function=_non_blocking(b"ok", ValueError("boom"))),
    "non_blocking_raises_late": Case(
        (), kinds=STREAMS, styles=("sync",), function=_non_blocking(b"ok", None, ValueError("boom"))
    ),
    "answer_then_cancel": Case((OK, lambda c: c.cancel())),
}


def _steps(case: Case, context: Any) -> Iterator[Any]:
    for step in case.steps:
        if isinstance(step, Answer):
            yield step.message
        else:
            step(context)


def _many(case: Case, requests: Any, context: Any) -> Iterator[Any]:
    _read(requests)
    yield from _steps(case, context)


def _one(case: Case, requests: Any, context: Any) -> Any:
    answer = None
    _read(requests)
    for answer in _steps(case, context):  # noqa: B007 - the last one is returned
        pass
    return answer


async def _aio_many(case: Case, requests: Any, context: Any) -> AsyncIterator[Any]:
    await _aio_read(requests)
    for step in case.steps:
        if isinstance(step, Answer):
            yield step.message
        elif inspect.isawaitable(result := step(context)):
            await result


async def _aio_one(case: Case, requests: Any, context: Any) -> Any:
    answer = None
    async for answer in _aio_many(case, requests, context):  # noqa: B007 - the last one is returned
        pass
    return answer


async def _aio_writer(case: Case, requests: Any, context: Any) -> None:
    streaming = not isinstance(requests, (bytes, type(None)))
    while streaming and await context.read() is not grpc.aio.EOF:
        pass
    for step in case.steps:
        if isinstance(step, Answer):
            await context.write(step.message)
        elif inspect.isawaitable(result := step(context)):
            await result


def _function(call: Call, case: Case) -> Any:
    if case.function is not None:
        return case.function
    style, kind = call.style, call.kind
    if kind.endswith("unary"):
        chosen: Any = {"aio": _aio_one, "writer": _aio_one}.get(style, _one)
    else:
        chosen = {"aio": _aio_many, "writer": _aio_writer}.get(style, _many)
    if inspect.iscoroutinefunction(chosen):

        async def coroutine(requests: Any, context: Any) -> Any:
            return await chosen(case, requests, context)

        return coroutine
    if inspect.isasyncgenfunction(chosen):

        async def generator(requests: Any, context: Any) -> AsyncIterator[Any]:
            async for message in chosen(case, requests, context):
                yield message

        return generator
    return partial(chosen, case)


@dataclass(frozen=True)
class Call:
    """A method that behaves like a case, for one kind, style of handler and client."""

    kind: str
    style: str
    client: str

    @property
    def name(self) -> str:
        return f"{self.kind}.{self.style}.{self.client}"

    @property
    def path(self) -> str:
        return f"/{SERVICE}/{self.name}"


@dataclass
class Seen:
    """What a client sees of a call."""

    code: str
    details: str | None
    messages: list[Any]
    initial_metadata: list[Any]
    trailing_metadata: list[Any]


def _calls(case: Case) -> list[Call]:
    return [
        Call(kind, style, client)
        for kind in case.kinds
        for style in case.styles
        for client in CLIENTS
        if style != "writer" or kind.endswith("stream")
    ]


def _details(given: Any) -> Any:
    # Which of two texts it is depends on what gRPC notices first.
    return "Deadline Exceeded" if given == "Stream removed (Deadline Exceeded)" else given


def _metadata(given: Any) -> list[Any]:
    return [tuple(item) for item in given or ()]


def _seen_by_sync(channel: Any, call: Call, timeout: float) -> Seen:
    method = getattr(channel, call.kind)(call.path)
    request = b"x" if call.kind.startswith("unary") else iter([b"x"])
    messages = []
    try:
        if call.kind.endswith("unary"):
            message, ended = method.with_call(request, timeout=timeout)
            messages.append(message)
        else:
            ended = method(request, timeout=timeout)
            for message in ended:
                messages.append(message)
    except grpc.RpcError as error:
        ended = error
    return Seen(
        ended.code().name,
        _details(ended.details()),
        messages,
        _metadata(ended.initial_metadata()),
        _metadata(ended.trailing_metadata()),
    )


async def _seen_by_aio(channel: Any, call: Call, timeout: float) -> Seen:
    method = getattr(channel, call.kind)(call.path)
    request = b"x" if call.kind.startswith("unary") else iter([b"x"])
    messages = []
    running = method(request, timeout=timeout)
    try:
        if call.kind.endswith("unary"):
            messages.append(await running)
        else:
            async for message in running:
                messages.append(message)
    except grpc.RpcError:
        pass
    return Seen(
        (await running.code()).name,
        _details(await running.details()),
        messages,
        _metadata(await running.initial_metadata()),
        _metadata(await running.trailing_metadata()),
    )


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def stop(self) -> None:
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.stop()


Intercept = Callable[[Any], Any]


class Interceptor(grpc.ServerInterceptor):
    """Passes the handler of a call to a function, and returns what that returns."""

    def __init__(self, intercept: Intercept) -> None:
        self._intercept = intercept

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        return self._intercept(continuation(handler_call_details))


class AioInterceptor(grpc.aio.ServerInterceptor):
    """The same for `grpc.aio`."""

    def __init__(self, intercept: Intercept) -> None:
        self._intercept = intercept

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        return self._intercept(await continuation(handler_call_details))


class Servers:
    """A server of each kind with the methods of a case, and channels of each kind to both.

    Args:
        loop: Runs the server and channels of `grpc.aio`.
        case: What the methods do.
        intercept: What interceptors of the servers do, as `Interceptor` calls it.
        limit: Number of calls that each server accepts at the same time.
    """

    def __init__(self, loop: Loop, case: Case, intercept: Intercept | None = None, limit: int | None = None) -> None:
        self._loop = loop
        self._pools = [futures.ThreadPoolExecutor(32) for _ in range(2)]
        self._sync = grpc.server(
            self._pools[0],
            handlers=[_handlers(case, "sync")],
            interceptors=[] if intercept is None else [Interceptor(intercept)],
            maximum_concurrent_rpcs=limit,
        )
        ports = [self._sync.add_insecure_port("127.0.0.1:0")]
        self._sync.start()
        self._aio, port = loop.run(self._started(case, intercept, limit))
        ports.append(port)
        self.targets = [f"127.0.0.1:{port}" for port in ports]
        self._channels: Any = {"sync": [grpc.insecure_channel(target) for target in self.targets]}
        self._channels["aio"] = loop.run(self._connected())

    async def _started(self, case: Case, intercept: Intercept | None, limit: int | None) -> tuple[Any, int]:
        server = grpc.aio.server(
            self._pools[1],
            handlers=[_handlers(case, "aio", "writer", "thread")],
            interceptors=[] if intercept is None else [AioInterceptor(intercept)],
            maximum_concurrent_rpcs=limit,
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    async def _connected(self) -> list[Any]:
        return [grpc.aio.insecure_channel(target) for target in self.targets]

    def started(self, call: Call, timeout: float | None = None) -> Any:
        """A running call of a sync client."""
        method = getattr(self._channels["sync"][call.style != "sync"], call.kind)(call.path)
        return (method.future if call.kind.endswith("unary") else method)(b"x", timeout=timeout)

    def close_channels(self) -> None:
        for channel in self._channels["sync"]:
            channel.close()

    def stop(self, grace: float | None) -> None:
        self._sync.stop(grace)
        self._loop.run(self._aio.stop(grace))

    def seen(self, call: Call, timeout: float) -> Seen:
        channel = self._channels[call.client][call.style != "sync"]
        if call.client == "sync":
            return _seen_by_sync(channel, call, timeout)
        return self._loop.run(_seen_by_aio(channel, call, timeout))

    def close(self) -> None:
        self.close_channels()
        for channel in self._channels["aio"]:
            self._loop.run(channel.close())
        self._sync.stop(0).wait(0.2)  # never ends if gRPC sends two statuses
        self._loop.run(self._aio.stop(0))
        for pool in self._pools:
            pool.shutdown()


def _handlers(case: Case, *styles: str) -> Any:
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            call.name: KINDS[call.kind](_function(call, case), case.deserializer, case.serializer)
            for call in _calls(case)
            if call.style in styles
        },
    )


class Recorded:
    """What is recorded of calls."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader

    def ended(self, side: str) -> dict[str, list[str]]:
        """The status of each ended call, by method."""
        found: dict[str, list[str]] = {}
        for point in points(self._reader, f"rpc.{side}.call.duration"):
            name = point.attributes["rpc.method"].partition("/")[2]
            found.setdefault(name, []).extend([point.attributes["rpc.response.status_code"]] * point.count)
        return found

    def settled(self, calls: int) -> bool:
        """Whether so many calls have ended on each side, and none is active."""
        return all(
            sum(map(len, self.ended(side).values())) >= calls
            and not any(point.value for point in points(self._reader, f"trust.rpc.{side}.active_calls"))
            for side in ("server", "client")
        )

    def settle(self, calls: int) -> None:
        """Wait until so many calls have ended on each side, and none is active."""
        deadline = time.monotonic() + 5
        while not self.settled(calls):
            assert time.monotonic() < deadline, (self.ended("server"), self.ended("client"))
            time.sleep(0.01)

    def internal_errors(self) -> int:
        return sum(
            point.value
            for point in points(self._reader, "trust.otel.dropped")
            if point.attributes["reason"] == "internal_error"
        )


@contextmanager
def instrumented() -> Iterator[Recorded]:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    instrumentor = GrpcInstrumentor()
    instrumentor.instrument(metrics=TrustServiceMetrics(provider))
    try:
        yield Recorded(reader)
    finally:
        instrumentor.uninstrument()
        provider.shutdown()


def _timeout(case: Case, call: Call) -> float:
    return SECONDS_UNANSWERED if call.style in case.unanswered else 30


@pytest.mark.parametrize("name", CASES)
def test_recorded_status_is_what_the_client_received(loop: Loop, name: str) -> None:
    case = CASES[name]
    calls = _calls(case)
    with ExitStack() as stack:
        original = stack.enter_context(closing(Servers(loop, case)))
        recorded = stack.enter_context(instrumented())
        measured = stack.enter_context(closing(Servers(loop, case)))
        pool = stack.enter_context(futures.ThreadPoolExecutor(16))
        unmeasured = {call: pool.submit(original.seen, call, _timeout(case, call)) for call in calls}
        running = {call: pool.submit(measured.seen, call, _timeout(case, call)) for call in calls}
        seen = {call: future.result() for call, future in running.items()}
        recorded.settle(len(calls))
        assert {call.name: unmeasured[call].result() for call in calls} == {call.name: seen[call] for call in calls}
        received = {call.name: [seen[call].code] for call in calls}
        assert recorded.ended("server") == received
        assert recorded.ended("client") == received
        assert recorded.internal_errors() == 0


class Gate:
    """A place in a handler where calls wait."""

    def __init__(self) -> None:
        self._entered = threading.Semaphore(0)
        self._released = threading.Event()

    def step(self, _context: Any) -> Any:
        """A step of a case."""
        self._entered.release()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return self._released.wait(20)
        return loop.run_in_executor(None, self._released.wait, 20)

    def reached(self) -> None:
        """Wait until a call waits."""
        assert self._entered.acquire(timeout=20)

    def release(self) -> None:
        """Let all calls go on."""
        self._released.set()


def _code(call: Call, running: Any) -> str:
    """The status that a client receives, after all messages."""
    if call.kind.endswith("stream"):
        with suppress(grpc.RpcError):
            for _ in running:
                pass
    return str(running.code().name)


# What ends a call while its handler runs.
INTERRUPTIONS: dict[str, Callable[[Servers, Any], Any]] = {
    "deadline": lambda _servers, _running: None,
    "cancelled": lambda _servers, running: running.cancel(),
    "channel_closed": lambda servers, _running: servers.close_channels(),
    "server_stopped": lambda servers, _running: servers.stop(None),
    "server_stopped_at_once": lambda servers, _running: servers.stop(0),
    "server_stopped_with_grace": lambda servers, _running: servers.stop(0.1),
}


@pytest.mark.parametrize(
    ("kind", "style"),
    [
        ("unary_unary", "sync"),
        ("unary_unary", "aio"),
        ("unary_unary", "thread"),
        ("unary_stream", "sync"),
        ("unary_stream", "aio"),
        ("unary_stream", "writer"),  # the thread of a stream would wait forever
    ],
)
@pytest.mark.parametrize("name", INTERRUPTIONS)
def test_interrupted_call_has_the_status_that_its_client_received(loop: Loop, name: str, kind: str, style: str) -> None:
    gate = Gate()
    with instrumented() as recorded, closing(Servers(loop, Case((OK, gate.step, OK)))) as servers:
        call = Call(kind, style, "sync")
        try:
            running = servers.started(call, SECONDS_UNANSWERED if name == "deadline" else None)
            gate.reached()
            INTERRUPTIONS[name](servers, running)
            received = {call.name: [_code(call, running)]}
            recorded.settle(1)  # although the handler goes on
        finally:
            gate.release()
        assert recorded.ended("server") == recorded.ended("client") == received
        assert recorded.internal_errors() == 0


def _raises(error: BaseException) -> Intercept:
    def intercept(_handler: Any) -> Any:
        raise error

    return intercept


def _answers(*steps: Answer | Step) -> Intercept:
    def intercept(handler: Any) -> Any:
        style = "aio" if inspect.iscoroutinefunction(handler.unary_unary) else "sync"
        return KINDS["unary_unary"](_function(Call("unary_unary", style, "sync"), Case(steps)))

    return intercept


INTERCEPTIONS: dict[str, Intercept] = {
    "passes": lambda handler: handler,
    "no_handler": lambda _handler: None,
    "raises": _raises(ValueError("boom")),
    "raises_abort_error": _raises(grpc.aio.AbortError("boom")),
    "answers": _answers(OK),
    "answers_none_with_code": _answers(set_code(NOT_FOUND), Answer(None)),
    "aborts": _answers(abort(grpc.StatusCode.PERMISSION_DENIED)),
    "aborts_with_number": _answers(abort(7)),
}


@pytest.mark.parametrize("style", ["sync", "aio"])
@pytest.mark.parametrize("name", INTERCEPTIONS)
def test_intercepted_call_has_the_status_that_its_client_received(loop: Loop, name: str, style: str) -> None:
    call = Call("unary_unary", style, "sync")
    with instrumented() as recorded, closing(Servers(loop, Case((OK,)), INTERCEPTIONS[name])) as servers:
        received = {call.name: [servers.seen(call, 30).code]}
        recorded.settle(1)
        assert recorded.ended("server") == recorded.ended("client") == received


@pytest.mark.parametrize("style", ["sync", "aio"])
def test_refused_calls_have_the_status_that_their_client_received(loop: Loop, style: str) -> None:
    gate = Gate()
    call = Call("unary_unary", style, "sync")
    with instrumented() as recorded, closing(Servers(loop, Case((gate.step, OK)), limit=1)) as servers:
        try:
            first = servers.started(call)
            gate.reached()
            over_limit = servers.seen(call, 30).code
        finally:
            gate.release()
        assert recorded.ended("client") == {call.name: [over_limit]}
        received = {over_limit, _code(call, first)}
        recorded.settle(2)
        assert set(recorded.ended("server")[call.name]) == received == {"RESOURCE_EXHAUSTED", "OK"}

        assert _code(call, servers.started(replace(call, client="unknown"))) == "UNIMPLEMENTED"
        recorded.settle(3)
        assert recorded.ended("server")[""] == ["UNIMPLEMENTED"]


@pytest.mark.parametrize("style", ["aio", "thread"])
@pytest.mark.parametrize("error", [asyncio.CancelledError(), Fatal()], ids=["cancelled", "fatal"])
def test_unanswered_call_without_a_deadline_ends_as_cancelled(loop: Loop, style: str, error: BaseException) -> None:
    call = Call("unary_unary", style, "sync")
    with instrumented() as recorded, closing(Servers(loop, Case((fail(error),)))) as servers:
        running = servers.started(call)
        deadline = time.monotonic() + 10
        while not recorded.ended("server") and time.monotonic() < deadline:
            time.sleep(0.01)
        running.cancel()
        received = {call.name: [_code(call, running)]}
        recorded.settle(1)
        assert recorded.ended("server") == recorded.ended("client") == received


async def _awaited(running: Any) -> list[str]:
    with suppress(grpc.RpcError, asyncio.CancelledError, asyncio.TimeoutError):
        await asyncio.wait_for(running, 0.2)
    return [(await running.code()).name]


def _result(running: Any) -> list[str]:
    with suppress(grpc.RpcError, grpc.FutureTimeoutError):
        running.result(timeout=0.1)
    running.cancel()
    return [running.code().name]


def _raised(function: Callable[[], Any]) -> list[str]:
    with pytest.raises(grpc.RpcError) as raised:
        function()
    return [raised.value.code().name]


def _first_of(stream: Any) -> list[str]:
    next(stream)
    stream.cancel()
    return _raised(lambda: next(stream))


NOWHERE = "127.0.0.1:1"
WAITING, STREAMING = (f"/{SERVICE}/{kind}.aio.sync" for kind in ("unary_unary", "unary_stream"))

# What a client sees in a sync channel to a server whose calls wait, and in one to no server.
SEEN_BY_CLIENTS: dict[str, Callable[[Any, Any], list[str]]] = {
    "future_not_awaited": lambda channel, _: _result(channel.unary_unary(WAITING).future(b"x")),
    "future_of_requests": lambda channel, _: _result(channel.stream_unary(WAITING).future(iter([b"x"]))),
    "deadline": lambda channel, _: _raised(lambda: channel.unary_unary(WAITING)(b"x", timeout=0.1)),
    "cancelled_stream": lambda channel, _: _first_of(channel.unary_stream(STREAMING)(b"x")),
    "unavailable": lambda _, nowhere: _raised(lambda: nowhere.unary_unary(WAITING)(b"x")),
    "unavailable_stream": lambda _, nowhere: _raised(lambda: list(nowhere.unary_stream(STREAMING)(b"x"))),
    "waiting_for_ready": lambda _, nowhere: _raised(
        lambda: nowhere.unary_unary(WAITING)(b"x", timeout=0.1, wait_for_ready=True)
    ),
    "request_not_serialized": lambda channel, _: _raised(
        lambda: channel.unary_unary(WAITING, request_serializer=raising)(b"x")
    ),
    "response_not_deserialized": lambda channel, _: _raised(
        lambda: list(channel.unary_stream(STREAMING, response_deserializer=raising)(b"x"))
    ),
}


@pytest.mark.parametrize("name", SEEN_BY_CLIENTS)
def test_client_records_the_status_that_it_sees(loop: Loop, name: str) -> None:
    gate = Gate()
    with instrumented() as recorded, closing(Servers(loop, Case((OK, gate.step, OK)))) as servers:
        try:
            with (
                grpc.insecure_channel(servers.targets[1]) as channel,
                grpc.insecure_channel(NOWHERE) as nowhere,
            ):
                seen = SEEN_BY_CLIENTS[name](channel, nowhere)
        finally:
            gate.release()
        recorded.settle(0)
        assert list(recorded.ended("client").values()) == [seen]


@pytest.mark.parametrize("name", ["timeout", "deadline", "unavailable", "cancelled"])
def test_aio_client_records_the_status_that_it_sees(loop: Loop, name: str) -> None:
    gate = Gate()

    async def seen_by_client(target: str) -> list[str]:
        async with grpc.aio.insecure_channel(target) as channel:
            method: Any = channel.unary_unary(WAITING)
            running = method(b"x", timeout=0.1 if name == "deadline" else None)
            if name == "cancelled":
                running.cancel()
            return await _awaited(running)

    with instrumented() as recorded, closing(Servers(loop, Case((OK, gate.step, OK)))) as servers:
        try:
            seen = loop.run(seen_by_client(NOWHERE if name == "unavailable" else servers.targets[1]))
        finally:
            gate.release()
        recorded.settle(0)
        assert list(recorded.ended("client").values()) == [seen]
