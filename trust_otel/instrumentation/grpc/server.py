"""The interceptor of a `grpc.server`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import grpc

from trust_otel.instrumentation.grpc.behaviors import Behavior
from trust_otel.instrumentation.grpc.calls import Recording
from trust_otel.instrumentation.grpc.methods import Methods
from trust_otel.instrumentation.grpc.server_calls import OK, Outcome, ServerCall
from trust_otel.metrics.operation import error_type
from trust_otel.metrics.request import answering
from trust_otel.recording.fail_open import fail_open, report_failure

_NAMES: Final = {code: code.name for code in grpc.StatusCode}


def _sent(code: Any, error: str | None) -> Outcome | None:
    """What the server sends for a code that the handler set, which may be no `StatusCode`.

    gRPC looks it up in a dictionary, and sends nothing if it is not hashable.
    """
    try:
        return _NAMES.get(code, "UNKNOWN"), error
    except Exception:
        return None


class ServerInterceptor(grpc.ServerInterceptor):
    """Measures every call. Must be the first interceptor, to measure calls that others refuse."""

    def __init__(self, recording: Recording, methods: Methods) -> None:
        self._recording = recording
        self._methods = methods

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Find the handler and measure it."""
        recorder = self._recording.recorder
        if recorder is None:
            return continuation(handler_call_details)
        call = _SyncCall.begin(recorder, self._recording.proxies, self._methods, handler_call_details)
        if call is None:
            return continuation(handler_call_details)
        # Each call runs in its own context until its status is sent.
        answering.set(call)
        try:
            handler = continuation(handler_call_details)
        except BaseException as error:
            call.outcome = ("UNKNOWN", error_type(error))
            call.terminated()
            raise
        if handler is None:
            call.end("UNIMPLEMENTED")
            return None
        return call.measured(handler)


class _SyncCall(ServerCall):
    """A call whose end the server reports by a callback, or by `__del__` if it never called the handler.

    The first status that the server sends is the one that counts.
    """

    def deserialize(self, serialized: bytes) -> Any:
        """Convert a request; each of a stream counts as received."""
        convert = self.behavior.deserializer
        try:
            message = serialized if convert is None else convert(serialized)
        except Exception as error:
            self._not_deserialized(error)
            raise
        if message is None:
            self._not_deserialized(None)
        elif self.behavior.request_streaming:
            self.rpc.received(1)
        return message

    def serialize(self, message: Any) -> Any:
        """Convert a response."""
        convert = self.behavior.serializer
        try:
            serialized = message if convert is None else convert(message)
        except Exception as error:
            self.aborted("INTERNAL", error)
            raise
        if serialized is None:
            self.aborted("INTERNAL", None)
        return serialized

    def started(self, context: Any) -> None:
        """Note that the handler is called."""
        try:
            self.began(context)
            if not context.add_callback(self.terminated):
                self.terminated()
        except Exception as error:
            report_failure(self._dropped, _SyncCall.started, error, (self, context), {})

    def completed(self) -> None:
        """Note the status of a handler that ended normally."""
        try:
            context = self.context
            # A cancellation has ended the call by now, unless gRPC still waits for a request. Only then is `is_active`
            # worth its lock.
            if context is not None and (not self.behavior.request_streaming or context.is_active()):
                code = context.code()
                self.outcome = OK if code is None else _sent(code, None)
        except Exception as error:
            report_failure(self._dropped, _SyncCall.completed, error, (self,), {})

    @fail_open
    def aborted(self, status: str, error: Exception | None) -> None:
        """Note that the server is about to end the call with a status, unless the handler set one."""
        context = self.context
        if context is None:
            self.outcome = (status, None if error is None else error_type(error))
        elif context.is_active():
            code = context.code()
            cause = None if error is None else error_type(error)
            self.outcome = (status, cause) if code is None else _sent(code, cause)

    @fail_open
    def failed(self, error: BaseException) -> None:
        """Note the exception of a handler."""
        context = self.context
        if not isinstance(error, Exception):
            self.unsent_error = error_type(error)
        # `context.abort` raises an Exception without arguments.
        elif type(error) is Exception and not error.args and context is not None and context.code() is not None:
            self.aborted("UNKNOWN", None)
        elif context is not None:
            self.aborted("UNKNOWN", error)

    def _not_deserialized(self, error: Exception | None) -> None:
        self.aborted("INTERNAL", error)
        # Without its only request, the handler is not called. If it waits for more, gRPC may not report the end.
        if self.outcome is not None:
            self.terminated()

    def _cancelled(self) -> bool:
        # When the call ends, no public function says whether its status was sent.
        return getattr(getattr(self.context, "_state", None), "client", None) == "cancelled"

    @fail_open
    def sent(self) -> None:
        """Count a message that gRPC was given to send."""
        context = self.context
        if context is not None and context.is_active():
            self.rpc.sent(1)

    def __del__(self) -> None:
        # Until the handler is called, a call is in no reference cycle. So this runs when the last reference is dropped,
        # never during garbage collection, which may interrupt a recording that holds a lock.
        if not self._finished.locked():
            self.terminated()

    @staticmethod
    def _measuring(behavior: Behavior) -> Callable[..., Any]:
        if behavior.non_blocking:
            return _non_blocking
        return _stream if behavior.response_streaming else _single


def _single(call: _SyncCall, request: Any, context: Any) -> Any:
    """Measure a function that returns one response."""
    call.started(context)
    try:
        response = call.behavior.function(request, context)
    except BaseException as error:
        call.failed(error)
        raise
    call.completed()
    if response is None and call.behavior.serializer is None:
        call.aborted("INTERNAL", None)
    return response


def _stream(call: _SyncCall, request: Any, context: Any) -> Iterator[Any]:
    """Measure a function that returns an iterator of responses."""
    call.started(context)
    try:
        responses = call.behavior.function(request, context)
    except BaseException as error:
        call.failed(error)
        raise
    return _counted(responses, call)


def _counted(responses: Iterator[Any], call: _SyncCall) -> Iterator[Any]:
    """Each response counts as sent when the server asks for the next one."""
    rpc = call.rpc
    while True:
        # Not a `for` loop: gRPC does not call `iter` either.
        try:
            message = next(responses)
        except StopIteration:
            call.completed()
            return
        except BaseException as error:
            call.failed(error)
            raise
        if message is None:  # gRPC takes it as the end of the stream
            call.completed()
            yield None
        else:
            yield message
            rpc.sent(1)


def _non_blocking(call: _SyncCall, request: Any, context: Any, send: Callable[[Any], None]) -> Any:
    """Measure a function that passes its responses to `send`, and `None` at the end."""

    def counted(message: Any) -> None:
        if message is None:
            call.completed()
            send(message)
        else:
            send(message)
            call.sent()

    call.started(context)
    try:
        return call.behavior.function(request, context, counted)
    except BaseException as error:
        call.failed(error)
        raise
