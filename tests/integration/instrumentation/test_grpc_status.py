"""The recorded status of a gRPC call is the one that its client receives, and the client notices no difference."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent import futures
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
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
    "initial_only": Case((lambda c: c.send_initial_metadata((("a", "b"),)), fail(ValueError("boom")))),
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


class Servers:
    """A server of each kind with the methods of a case, and channels of each kind to both."""

    def __init__(self, loop: Loop, case: Case) -> None:
        self._loop = loop
        self._pools = [futures.ThreadPoolExecutor(32) for _ in range(2)]
        self._sync = grpc.server(self._pools[0], handlers=[_handlers(case, "sync")])
        ports = [self._sync.add_insecure_port("127.0.0.1:0")]
        self._sync.start()
        self._aio, port = loop.run(self._started(case))
        ports.append(port)
        self.targets = [f"127.0.0.1:{port}" for port in ports]
        self._channels: Any = {"sync": [grpc.insecure_channel(target) for target in self.targets]}
        self._channels["aio"] = loop.run(self._connected())

    async def _started(self, case: Case) -> tuple[Any, int]:
        server = grpc.aio.server(self._pools[1], handlers=[_handlers(case, "aio", "writer", "thread")])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    async def _connected(self) -> list[Any]:
        return [grpc.aio.insecure_channel(target) for target in self.targets]

    def seen(self, call: Call, timeout: float) -> Seen:
        channel = self._channels[call.client][call.style != "sync"]
        if call.client == "sync":
            return _seen_by_sync(channel, call, timeout)
        return self._loop.run(_seen_by_aio(channel, call, timeout))

    def close(self) -> None:
        for channel in self._channels["sync"]:
            channel.close()
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
