"""The interceptor of a `grpc.aio.server`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import grpc.aio

from trust_otel.instrumentation.grpc.calls import Proxy, Recording, status_name
from trust_otel.instrumentation.grpc.methods import Methods
from trust_otel.instrumentation.grpc.server_calls import (
    MeasuredHandler,
    Requests,
    ServedRequest,
    ServerCall,
    behavior_name,
    known_status,
)
from trust_otel.metrics.request import Request, answering

# Raised in a handler when the client cancelled the call, or when its generator is closed.
_CANCELLATIONS = (asyncio.CancelledError, GeneratorExit, grpc.aio.InternalError)


class AioServerInterceptor(grpc.aio.ServerInterceptor):
    """Measures every call. Must be the first interceptor, to measure calls that others refuse."""

    def __init__(self, recording: Recording, methods: Methods) -> None:
        self._recording = recording
        self._methods = methods

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Find the handler and measure it."""
        recorder = self._recording.recorder
        task = asyncio.current_task()
        if recorder is None or task is None:
            return await continuation(handler_call_details)
        request = ServedRequest(self._recording.proxies, handler_call_details)
        call = _AioCall(recorder, *self._methods.labels(handler_call_details), request)
        # Each call runs in its own task until its status is sent.
        answering.set(request)
        task.add_done_callback(partial(_task_done, call))
        try:
            handler = await continuation(handler_call_details)
        except _CANCELLATIONS:
            call.accepted(sends_one=False)
            raise
        except BaseException as error:
            call.raised("UNKNOWN", error)
            raise
        if handler is None:
            call.outcome = ("UNIMPLEMENTED", None)
            return None
        return MeasuredHandler(handler, call, _measured(handler, call), "UNKNOWN")


def _task_done(call: _AioCall, task: asyncio.Task[Any]) -> None:
    # A handler may suppress the cancellation and return, but no response is sent. Python 3.10 has no `cancelling`.
    if getattr(task, "cancelling", int)():
        call.interrupted()
    call.terminated()


class _AioCall(ServerCall):
    """A call with the status of its context, or the status that a sync handler set."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.set_status: Any = None

    @property
    def _code(self) -> Any:
        return self.context.code() if hasattr(self.context, "code") else self.set_status

    def completed(self) -> None:
        self.outcome = (known_status(self._code), None)

    def failed(self, error: BaseException) -> None:
        code = self._code
        if isinstance(error, grpc.aio.AbortError) or (isinstance(error, _CANCELLATIONS) and self._status_sent()):
            self.outcome = (known_status(code), None)
        elif not isinstance(error, _CANCELLATIONS):
            self.raised("UNKNOWN" if code in (None, grpc.StatusCode.OK, 0) else status_name(code), error)

    def _status_sent(self) -> bool:
        return hasattr(self.context, "done") and bool(self.context.done())


def _measured(handler: Any, call: _AioCall) -> Callable[..., Any]:
    """A function of the same kind as the service's, because the server treats each kind differently."""
    behavior = getattr(handler, behavior_name(handler))
    if inspect.isasyncgenfunction(behavior):
        return _generator(behavior, call, streaming=handler.request_streaming)
    if inspect.iscoroutinefunction(behavior) or inspect.isawaitable(behavior):
        return _coroutine(behavior, call, streaming=handler.request_streaming)
    return _function(behavior, call, handler)


def _coroutine(behavior: Callable[..., Awaitable[Any]], call: _AioCall, *, streaming: bool) -> Callable[..., Any]:
    async def measured(request: Any, context: Any) -> Any:
        call.started(context)
        try:
            response = await behavior(_requests(request, call, streaming), _Context(context, call))
        except BaseException as error:
            call.failed(error)
            raise
        call.completed()
        return response

    return measured


def _generator(behavior: Callable[..., AsyncIterator[Any]], call: _AioCall, *, streaming: bool) -> Callable[..., Any]:
    async def measured(request: Any, context: Any) -> AsyncIterator[Any]:
        call.started(context)
        try:
            async for message in behavior(_requests(request, call, streaming), _Context(context, call)):
                yield message
                call.sent()  # the server asks for the next message
        except BaseException as error:
            call.failed(error)
            raise
        call.completed()

    return measured


def _function(behavior: Callable[..., Any], call: _AioCall, handler: Any) -> Callable[..., Any]:
    request_streaming, response_streaming = handler.request_streaming, handler.response_streaming
    call.counts_serialized = response_streaming

    def measured(request: Any, context: Any) -> Any:
        call.started(context)
        if request_streaming:
            request = Requests(request, call)
        else:
            call.received()
        try:
            with _in_request(call.request):
                response = behavior(request, _SyncContext(context, call))
        except BaseException as error:
            call.failed(error)
            raise
        if response_streaming:
            return _Responses(response, call)
        call.completed()
        return response

    return measured


@contextmanager
def _in_request(request: Request) -> Iterator[None]:
    """Set the request in the context of a sync handler, which runs in another thread and context than the call."""
    token = answering.set(request)
    try:
        yield
    finally:
        answering.reset(token)


def _requests(request: Any, call: _AioCall, streaming: bool) -> Any:
    if streaming:
        return _Requests(request, call)
    call.received()
    return request


class _Requests:
    """Messages of the client, counted when the handler reads them."""

    def __init__(self, requests: Any, call: _AioCall) -> None:
        self._requests = requests
        self._call = call

    def __aiter__(self) -> _Requests:
        return self

    async def __anext__(self) -> Any:
        message = await self._requests.__anext__()
        self._call.received()
        return message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._requests, name)


class _Responses:
    """Messages of a sync handler. The server reads one message ahead, so each is counted when it is serialized."""

    def __init__(self, responses: Iterable[Any], call: _AioCall) -> None:
        self._responses = responses
        self._iterator: Iterator[Any] = iter(())
        self._call = call

    def __iter__(self) -> _Responses:
        self._iterator = iter(self._responses)
        return self

    def __next__(self) -> Any:
        try:
            with _in_request(self._call.request):
                return next(self._iterator)
        except StopIteration:
            self._call.completed()
            raise
        except BaseException as error:
            self._call.failed(error)
            raise


class _Context(Proxy):
    """The context of a handler, which can read and write messages through it."""

    def __init__(self, context: Any, call: _AioCall) -> None:
        super().__init__(context)
        self._self_call = call

    async def read(self) -> Any:
        message = await self.__wrapped__.read()
        if message is not grpc.aio.EOF:
            self._self_call.received()
        return message

    async def write(self, message: Any) -> None:
        await self.__wrapped__.write(message)
        self._self_call.sent()


class _SyncContext(Proxy):
    """The context of a sync handler, whose status cannot be read."""

    def __init__(self, context: Any, call: _AioCall) -> None:
        super().__init__(context)
        self._self_call = call

    def set_code(self, code: Any) -> None:
        self._self_call.set_status = code
        self.__wrapped__.set_code(code)

    def abort(self, code: Any, *args: Any, **kwargs: Any) -> None:
        self._self_call.set_status = code
        self.__wrapped__.abort(code, *args, **kwargs)
