"""The interceptor of a `grpc.server`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc

from trust_otel.instrumentation.grpc.behaviors import Behavior
from trust_otel.instrumentation.grpc.calls import Recording, status_name
from trust_otel.instrumentation.grpc.methods import Methods
from trust_otel.instrumentation.grpc.server_calls import ServerCall
from trust_otel.metrics.request import answering
from trust_otel.recording.fail_open import fail_open, report_failure


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
            call.raised("UNKNOWN", error)
            call.terminated()
            raise
        if handler is None:
            call.end("UNIMPLEMENTED")
            return None
        return call.measured(handler)


class _SyncCall(ServerCall):
    """A call whose end the server reports by a callback, or by `__del__` if it never called the handler."""

    _conversion_failed = "INTERNAL"

    def started(self, context: Any) -> None:
        """Note that the handler is called."""
        try:
            self.began(context)
            if not context.add_callback(self.terminated):
                self.interrupted()
        except Exception as error:
            report_failure(self._dropped, _SyncCall.started, error, (self, context), {})

    def completed(self) -> None:
        """Note the status of a handler that ended normally."""
        try:
            context = self.context
            # A cancellation has ended the call by now, unless gRPC still waits for a request. Only then is `is_active`
            # worth its lock.
            if context is not None and (not self.behavior.request_streaming or context.is_active()):
                self.set_status(context.code())
        except Exception as error:
            report_failure(self._dropped, _SyncCall.completed, error, (self,), {})

    @fail_open
    def failed(self, error: BaseException) -> None:
        """Note the exception of a handler."""
        context = self.context
        if context is None or not context.is_active():
            return
        code = context.code()
        # `context.abort` raises an Exception without arguments.
        if code is not None and type(error) is Exception and not error.args:
            self.set_status(code)
        else:
            self.raised("UNKNOWN" if code is None else status_name(code), error)

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
