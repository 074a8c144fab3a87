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

# Attributes of the service's function that tell the server how to call it.
_CALLING_CONVENTIONS = ("experimental_non_blocking", "experimental_thread_pool")


class ServerInterceptor(grpc.ServerInterceptor):
    """Measures every call. Has to come first, so that it sees what other interceptors refuse."""

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
        # Every call has a context of its own, from here until its status is sent.
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
    """The server says when it is done with a call, unless it never got as far as to call the handler."""

    def begun(self, context: Any) -> None:
        super().begun(context)
        if not context.add_callback(self.terminated):
            self.interrupted()

    def answered(self) -> None:
        if self.context.is_active():
            self.outcome = (known_status(self.context.code()), None)

    def failed(self, error: BaseException) -> None:
        if not self.context.is_active():
            return
        code = self.context.code()
        status = "UNKNOWN" if code is None else status_name(code)
        # What `context.abort` raises is an Exception without arguments.
        if code is not None and type(error) is Exception and not error.args:
            self.outcome = (status, None)
        else:
            self.raised(status, error)

    def __del__(self) -> None:
        # Reached only by counting references, on the server's or a worker's thread: until a handler is called, nothing
        # refers to a call in a circle. So this never runs inside a garbage collection, where a lock may be held.
        if not self._ended.locked():
            self.terminated()


def _measured(handler: Any, call: _SyncCall) -> Callable[..., Any]:
    behavior = getattr(handler, behavior_name(handler))
    request_streaming, response_streaming = handler.request_streaming, handler.response_streaming

    def measured(request: Any, context: Any, *send: Callable[[Any], None]) -> Any:
        call.begun(context)
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
        call.answered()
        return response

    for name in _CALLING_CONVENTIONS:
        if hasattr(behavior, name):
            setattr(measured, name, getattr(behavior, name))
    return measured


class _Responses:
    """Messages of the handler, each counted once the server comes back for the next one: then it was sent."""

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
            self._call.answered()
            raise
        except BaseException as error:
            self._call.failed(error)
            raise
        if message is None:  # to the server, the end of the stream
            self._call.answered()
        else:
            self._pending = True
        return message


def _counted(send: Callable[[Any], None], call: _SyncCall) -> Callable[[Any], None]:
    """The function through which a non-blocking handler sends its messages, and `None` at the end."""

    def counted(message: Any) -> None:
        if message is None:
            call.answered()
            send(message)
            return
        send(message)
        if call.context.is_active():
            call.sent()

    return counted
