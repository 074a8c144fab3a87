"""The interceptor of a `grpc.aio.server`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc.aio

from trust_otel.instrumentation.grpc.behaviors import Behavior
from trust_otel.instrumentation.grpc.calls import Proxy, Recording, status_name
from trust_otel.instrumentation.grpc.methods import Methods
from trust_otel.instrumentation.grpc.server_calls import ServerCall
from trust_otel.metrics.request import Request, answering
from trust_otel.recording.fail_open import fail_open, report_failure

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
        call = _AioCall.begin(recorder, self._recording.proxies, self._methods, handler_call_details)
        if call is None:
            return await continuation(handler_call_details)
        # Each call runs in its own task until its status is sent.
        answering.set(call)
        task.add_done_callback(call.task_done)
        try:
            handler = await continuation(handler_call_details)
        except _CANCELLATIONS:
            call.accepted = True
            raise
        except BaseException as error:
            call.raised("UNKNOWN", error)
            raise
        if handler is None:
            call.outcome = ("UNIMPLEMENTED", None)
            return None
        return call.measured(handler)


class _AioCall(ServerCall):
    """A call with the status of its context, or the status that a sync handler set.

    Attributes:
        status_set: Status that a sync handler set.
    """

    status_set: Any = None

    # A handler may yield responses or write them to the context. Either way, they are serialized when it does.
    _counts_serialized = True

    def task_done(self, task: asyncio.Task[Any]) -> None:
        """Record the end; gRPC runs the call in this task."""
        # A handler may suppress the cancellation and return, but no response is sent. Python 3.10 has no `cancelling`.
        if getattr(task, "cancelling", int)():
            self.outcome = None
        self.terminated()

    def started(self, context: Any) -> None:
        """Note that the handler is called."""
        try:
            self.began(context)
        except Exception as error:
            report_failure(self._dropped, _AioCall.started, error, (self, context), {})

    def completed(self) -> None:
        """Note the status of a handler that ended normally."""
        try:
            self.set_status(self._code)
        except Exception as error:
            report_failure(self._dropped, _AioCall.completed, error, (self,), {})

    @fail_open
    def failed(self, error: BaseException) -> None:
        """Note the exception of a handler."""
        code = self._code
        if isinstance(error, grpc.aio.AbortError) or (isinstance(error, _CANCELLATIONS) and self._status_sent()):
            self.set_status(code)
        elif not isinstance(error, _CANCELLATIONS):
            self.raised("UNKNOWN" if code in (None, grpc.StatusCode.OK, 0) else status_name(code), error)

    @property
    def _code(self) -> Any:
        return self.context.code() if hasattr(self.context, "code") else self.status_set

    def _status_sent(self) -> bool:
        return hasattr(self.context, "done") and bool(self.context.done())

    @staticmethod
    def _measuring(behavior: Behavior) -> Callable[..., Any]:
        # A function of the same kind as the service's, because the server treats each kind differently.
        if behavior.is_async_generator:
            return _generator
        if behavior.is_coroutine:
            return _coroutine
        return _stream if behavior.response_streaming else _single


async def _coroutine(call: _AioCall, request: Any, context: Any) -> Any:
    call.started(context)
    try:
        response = await call.behavior.function(request, context)
    except BaseException as error:
        call.failed(error)
        raise
    call.completed()
    return response


async def _generator(call: _AioCall, request: Any, context: Any) -> AsyncIterator[Any]:
    call.started(context)
    try:
        async for message in call.behavior.function(request, context):
            yield message
    except BaseException as error:
        call.failed(error)
        raise
    call.completed()


def _single(call: _AioCall, request: Any, context: Any) -> Any:
    """Measure a sync function that returns one response."""
    response = _called(call, request, context)
    call.completed()
    return response


def _stream(call: _AioCall, request: Any, context: Any) -> _Responses:
    """Measure a sync function that returns an iterable of responses."""
    return _Responses(_called(call, request, context), call)


def _called(call: _AioCall, request: Any, context: Any) -> Any:
    call.started(context)
    try:
        with _in_request(call):
            return call.behavior.function(request, _SyncContext(context, call))
    except BaseException as error:
        call.failed(error)
        raise


@contextmanager
def _in_request(request: Request) -> Iterator[None]:
    """Set the request in the context of a sync handler, which runs in another thread and context than the call."""
    token = answering.set(request)
    try:
        yield
    finally:
        answering.reset(token)


class _Responses:
    """Messages of a sync handler."""

    def __init__(self, responses: Iterable[Any], call: _AioCall) -> None:
        self._responses = responses
        self._iterator: Iterator[Any] = iter(())
        self._call = call

    def __iter__(self) -> _Responses:
        self._iterator = iter(self._responses)
        return self

    def __next__(self) -> Any:
        try:
            with _in_request(self._call):
                return next(self._iterator)
        except StopIteration:
            self._call.completed()
            raise
        except BaseException as error:
            self._call.failed(error)
            raise


class _SyncContext(Proxy):
    """The context of a sync handler, whose status cannot be read."""

    def __init__(self, context: Any, call: _AioCall) -> None:
        super().__init__(context)
        self._self_call = call

    def set_code(self, code: Any) -> None:
        self._self_call.status_set = code
        self.__wrapped__.set_code(code)

    def abort(self, code: Any, *args: Any, **kwargs: Any) -> None:
        self._self_call.status_set = code
        self.__wrapped__.abort(code, *args, **kwargs)
