"""The interceptor of a `grpc.server`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc

from trust_otel.instrumentation.grpc.calls import Recording, status_name
from trust_otel.instrumentation.grpc.methods import Methods
from trust_otel.instrumentation.grpc.server_calls import (
    MeasuredHandler,
    Requests,
    ServedRequest,
    ServerCall,
    behavior_name,
    known_status,
)
from trust_otel.metrics.request import answering

# Attributes of the service's function that determine how the server calls it.
_CALLING_CONVENTIONS = ("experimental_non_blocking", "experimental_thread_pool")


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
        request = ServedRequest(self._recording.proxies, handler_call_details)
        call = _SyncCall(recorder, *self._methods.labels(handler_call_details), request)
        # Each call runs in its own context until its status is sent.
        answering.set(request)
        try:
            handler = continuation(handler_call_details)
        except BaseException as error:
            call.raised("UNKNOWN", error)
            call.terminated()
            raise
        if handler is None:
            call.end("UNIMPLEMENTED")
            return None
        return MeasuredHandler(handler, call, _measured(handler, call), "INTERNAL")


class _SyncCall(ServerCall):
    """A call whose end the server reports by a callback, or by `__del__` if it never called the handler."""

    def started(self, context: Any) -> None:
        super().started(context)
        if not context.add_callback(self.terminated):
            self.interrupted()

    def completed(self) -> None:
        if self.context.is_active():
            self.outcome = (known_status(self.context.code()), None)

    def failed(self, error: BaseException) -> None:
        if not self.context.is_active():
            return
        code = self.context.code()
        status = "UNKNOWN" if code is None else status_name(code)
        # `context.abort` raises an Exception without arguments.
        if code is not None and type(error) is Exception and not error.args:
            self.outcome = (status, None)
        else:
            self.raised(status, error)

    def __del__(self) -> None:
        # Until the handler is called, a call is in no reference cycle. So this runs when the last reference is dropped,
        # never during garbage collection, which may interrupt a recording that holds a lock.
        if not self._ended.locked():
            self.terminated()


def _measured(handler: Any, call: _SyncCall) -> Callable[..., Any]:
    behavior = getattr(handler, behavior_name(handler))
    request_streaming, response_streaming = handler.request_streaming, handler.response_streaming

    def measured(request: Any, context: Any, *send: Callable[[Any], None]) -> Any:
        call.started(context)
        if request_streaming:
            request = Requests(request, call)
        else:
            call.received()
        try:
            response = behavior(request, context, *(_counted(each, call) for each in send))
        except BaseException as error:
            call.failed(error)
            raise
        if response_streaming:
            return response if send else _Responses(response, call)
        call.completed()
        return response

    for name in _CALLING_CONVENTIONS:
        if hasattr(behavior, name):
            setattr(measured, name, getattr(behavior, name))
    return measured


class _Responses:
    """Messages of the handler; each counts as sent when the server asks for the next one."""

    def __init__(self, responses: Iterator[Any], call: _SyncCall) -> None:
        self._responses = responses
        self._call = call
        self._pending = False

    def __iter__(self) -> _Responses:
        return self

    def __next__(self) -> Any:
        if self._pending:
            self._pending = False
            self._call.sent()
        try:
            message = next(self._responses)
        except StopIteration:
            self._call.completed()
            raise
        except BaseException as error:
            self._call.failed(error)
            raise
        if message is None:  # gRPC takes it as the end of the stream
            self._call.completed()
        else:
            self._pending = True
        return message


def _counted(send: Callable[[Any], None], call: _SyncCall) -> Callable[[Any], None]:
    """Wrap the function by which a non-blocking handler sends messages, and `None` at the end."""

    def counted(message: Any) -> None:
        if message is None:
            call.completed()
            send(message)
            return
        send(message)
        if call.context.is_active():
            call.sent()

    return counted
