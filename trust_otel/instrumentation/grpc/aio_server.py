"""The interceptor of a `grpc.aio.server`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any, Final

import grpc.aio

from trust_otel.instrumentation.grpc.behaviors import Behavior
from trust_otel.instrumentation.grpc.calls import Proxy, Recording
from trust_otel.instrumentation.grpc.methods import Methods
from trust_otel.instrumentation.grpc.server_calls import OK, Outcome, ServerCall
from trust_otel.metrics.operation import error_type
from trust_otel.metrics.request import Request, answering
from trust_otel.recording.fail_open import fail_open, report_failure

_OK: Final = grpc.StatusCode.OK.value[0]
_UNKNOWN: Final = grpc.StatusCode.UNKNOWN.value[0]
_NAMES: Final = {code.value[0]: code.name for code in grpc.StatusCode}

# From Python 3.11 on, a task knows whether it was cancelled. Before, a CancelledError of the handler is taken for that.
_COUNTS_CANCELLATIONS: Final = hasattr(asyncio.Task, "cancelling")

# Exceptions of gRPC after which it sends no status, because the client or the server is gone.
_SILENT: Final = ("ExecuteBatchError", "_ServerStoppedError")


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
        except BaseException as error:
            call.accepted = True
            call.failed(error)
            raise
        if handler is None:
            call.outcome = ("UNIMPLEMENTED", None)
            return None
        return call.measured(handler)


class _AioCall(ServerCall):
    """A call that ends with its task.

    Attributes:
        code_set: Number of the status that a sync handler set.
        aborted: Whether a sync handler called `abort`, which sends the status at once.
        abort_failed: Whether gRPC could not send that status, and so sends none.
    """

    code_set = _OK
    aborted = False
    abort_failed = False

    _cancelling = False
    _unsendable = False

    def deserialize(self, serialized: bytes) -> Any:
        """Convert a request; each of a stream counts as received."""
        convert = self.behavior.deserializer
        try:
            message = serialized if convert is None else convert(serialized)
        except BaseException as error:
            if not self.behavior.request_streaming:  # otherwise it is raised in the handler
                self.failed(error)
            raise
        if self.behavior.request_streaming:
            self.rpc.received(1)
        return message

    def serialize(self, message: Any) -> Any:
        """Convert a response. A handler may yield responses or write them to the context."""
        convert = self.behavior.serializer
        try:
            serialized = message if convert is None else convert(message)
        except BaseException as error:
            self._not_serialized(error)
            raise
        if serialized is not None and type(serialized) is not bytes:
            self._not_serialized(TypeError())  # which gRPC raises
        elif self.behavior.response_streaming:
            self.rpc.sent(1)
        return serialized

    def task_done(self, task: asyncio.Task[Any]) -> None:
        """Record the end; gRPC runs the call in this task."""
        # A handler may suppress the cancellation and return, but no response is sent.
        if getattr(task, "cancelling", int)():
            self._cancelling = True
            self.unsent_error = None
        elif self.outcome is None:
            self._find_abortion()
        self.terminated()

    def started(self, context: Any) -> None:
        """Note that the handler is called."""
        try:
            self.began(context)
        except Exception as error:
            report_failure(self._dropped, _AioCall.started, error, (self, context), {})

    def completed(self, response: Any = None) -> None:
        """Note the status of a handler that ended normally, with the response if it is sent as it is."""
        try:
            if self._unsendable:
                return
            number = self._number()
            if self._status_sent():
                self.outcome = self._abortion(None)
            elif number != _OK:
                self.outcome = (_NAMES.get(number, "UNKNOWN"), None)
            elif response is None or type(response) is bytes or isinstance(response, str):
                self.outcome = OK
            else:
                self.failed(TypeError())  # which gRPC raises
        except Exception as error:
            report_failure(self._dropped, _AioCall.completed, error, (self,), {})

    @fail_open
    def failed(self, error: BaseException) -> None:
        """Note an exception, of which gRPC sends the status."""
        if self._unsendable:
            return  # gRPC no longer listens to the handler
        if _is_silent(error) or (isinstance(error, asyncio.CancelledError) and not _COUNTS_CANCELLATIONS):
            self._cancelling = True
        elif self._status_sent():
            self.outcome = self._abortion(error)
        elif isinstance(error, Exception):
            number = self._number()
            self.outcome = ("UNKNOWN" if number == _OK else _NAMES.get(number, "UNKNOWN"), error_type(error))
        else:
            self.outcome = None
            self.unsent_error = error_type(error)

    @fail_open
    def _find_abortion(self) -> None:
        """Note the status that a handler sent which was closed before it ended."""
        if self._status_sent():
            self.outcome = self._abortion(None)

    def _not_serialized(self, error: BaseException) -> None:
        """Note an exception, which is raised in the handler only if that called `write`."""
        self.failed(error)
        self._unsendable = not self.behavior.is_coroutine and not self.behavior.is_async_generator

    def _number(self) -> int:
        """Number of the status that the handler set."""
        context = self.context
        if not hasattr(context, "code"):
            return self.code_set
        code = context.code()
        return _OK if code is None else status_number(code)

    def _status_sent(self) -> bool:
        """Whether the handler called `abort`."""
        return bool(self.context.done()) if hasattr(self.context, "done") else self.aborted

    def _abortion(self, error: BaseException | None) -> Outcome | None:
        """What `abort` sent."""
        number = self._number()
        if self.abort_failed:
            return None
        if hasattr(self.context, "code") and self.context.code() is None:
            number = _UNKNOWN
        if number == _OK:  # which gRPC does not send
            return None
        cause = None if error is None or isinstance(error, grpc.aio.AbortError) else error_type(error)
        return _NAMES.get(number, "UNKNOWN"), cause

    def _cancelled(self) -> bool:
        return self._cancelling

    def _interruption(self) -> str:
        # Without a status from the server, the client waits for its deadline.
        context = self.context
        unsent = self.unsent_error is not None or self._status_sent()
        if unsent and context is not None and not self._cancelling:
            return "CANCELLED" if context.time_remaining() is None else "DEADLINE_EXCEEDED"
        return super()._interruption()

    def sent_unchanged(self, response: Any) -> Any:
        """The response, unless it is converted or one of many."""
        behavior = self.behavior
        return None if behavior.serializer is not None or behavior.response_streaming else response

    @staticmethod
    def _measuring(behavior: Behavior) -> Callable[..., Any]:
        # A function of the same kind as the service's, because the server treats each kind differently.
        if behavior.is_async_generator and behavior.response_streaming:
            return _generator
        if behavior.is_coroutine or behavior.is_async_generator:
            return _coroutine
        return _stream if behavior.response_streaming else _single


async def _coroutine(call: _AioCall, request: Any, context: Any) -> Any:
    call.started(context)
    try:
        response = await call.behavior.function(request, context)
    except BaseException as error:
        call.failed(error)
        raise
    call.completed(call.sent_unchanged(response))
    return response


async def _generator(call: _AioCall, request: Any, context: Any) -> AsyncIterator[Any]:
    call.started(context)
    yielding = False
    try:
        async for message in call.behavior.function(request, context):
            yielding = True
            yield message
            yielding = False
    except BaseException as error:
        if not yielding:  # otherwise gRPC no longer listens
            call.failed(error)
        raise
    call.completed()


def _single(call: _AioCall, request: Any, context: Any) -> Any:
    """Measure a sync function that returns one response."""
    response = _called(call, request, context, in_thread=True)
    call.completed(call.sent_unchanged(response))
    return response


def _stream(call: _AioCall, request: Any, context: Any) -> _Responses:
    """Measure a sync function that returns an iterable of responses."""
    return _Responses(_called(call, request, context, in_thread=False), call)


def _called(call: _AioCall, request: Any, context: Any, *, in_thread: bool) -> Any:
    call.started(context)
    try:
        with _in_request(call):
            return call.behavior.function(request, _SyncContext(context, call))
    except BaseException as error:
        call.failed(_leaving_thread(error) if in_thread else error)
        raise


def _leaving_thread(error: BaseException) -> BaseException:
    """What asyncio makes of an exception in a thread."""
    return asyncio.CancelledError() if type(error) is futures.CancelledError else error


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
        try:
            self._iterator = iter(self._responses)
        except BaseException as error:
            self._call.failed(error)
            raise
        return self

    def __next__(self) -> Any:
        try:
            with _in_request(self._call):
                return next(self._iterator)
        except StopIteration:
            self._call.completed()
            raise
        except BaseException as error:
            self._call.failed(_leaving_thread(error))
            raise


class _SyncContext(Proxy):
    """The context of a sync handler, whose status cannot be read."""

    def __init__(self, context: Any, call: _AioCall) -> None:
        super().__init__(context)
        self._self_call = call

    def set_code(self, code: Any) -> None:
        self.__wrapped__.set_code(code)
        if not self._self_call.aborted:
            self._self_call.code_set = status_number(code)

    def abort(self, code: Any, *args: Any, **kwargs: Any) -> None:
        call = self._self_call
        first = not call.aborted
        try:
            self.__wrapped__.abort(code, *args, **kwargs)
        except (TypeError, grpc.aio.UsageError):  # wrong arguments, or aborted before
            raise
        except BaseException as error:
            if first:
                call.code_set = status_number(code)
                call.aborted = True
                call.abort_failed = not isinstance(error, grpc.aio.AbortError)
            raise


def status_number(code: Any) -> int:
    """Number that a server of `grpc.aio` sends for what a handler set."""
    if isinstance(code, int):
        return int(code) if code in _NAMES else _UNKNOWN
    try:
        return int(code.value[0])
    except Exception:
        return _UNKNOWN


def _is_silent(error: BaseException) -> bool:
    return isinstance(error, grpc.aio.BaseError) and type(error).__name__ in _SILENT
