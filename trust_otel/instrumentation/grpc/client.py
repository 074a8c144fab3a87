"""Measures the channels of `grpc`.

Calls are wrapped instead of intercepted: an intercepted channel returns other objects, and raises at other times, than
the original.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import Signature, signature
from typing import Any
from weakref import ref

import grpc
from wrapt import FunctionWrapper

from trust_otel.instrumentation.grpc.calls import Proxy, Recording
from trust_otel.instrumentation.grpc.client_calls import CalledMethod, ClientCall
from trust_otel.patches import imitates
from trust_otel.recording.fail_open import report_failure


class MeasuredChannel(Proxy):
    """A channel whose calls are measured."""

    def __init__(self, channel: Any, recording: Recording) -> None:
        super().__init__(channel)
        self._self_recording = recording

    @property
    def unary_unary(self) -> Any:
        return self._self_measured(self.__wrapped__.unary_unary, _OneResponse, request_streaming=False)

    @property
    def stream_unary(self) -> Any:
        return self._self_measured(self.__wrapped__.stream_unary, _OneResponse, request_streaming=True)

    @property
    def unary_stream(self) -> Any:
        return self._self_measured(self.__wrapped__.unary_stream, _ManyResponses, request_streaming=False)

    @property
    def stream_stream(self) -> Any:
        return self._self_measured(self.__wrapped__.stream_stream, _ManyResponses, request_streaming=True)

    def _self_measured(self, make: Any, kind: type[_Callable], *, request_streaming: bool) -> Any:
        def made(_make: Any, _instance: object, args: Any, kwargs: Any) -> _Callable:
            callable_ = make(*args, **kwargs)
            method = CalledMethod(
                self._self_recording,
                args[0] if args else kwargs["method"],
                request_streaming=request_streaming,
                response_streaming=kind is _ManyResponses,
            )
            return kind(callable_, method)

        return FunctionWrapper(make, made)

    def __enter__(self) -> MeasuredChannel:
        self.__wrapped__.__enter__()
        return self


class _Callable(Proxy):
    """A multi-callable, which a stub calls."""

    def __init__(self, callable_: Any, method: CalledMethod) -> None:
        super().__init__(callable_)
        self._self_method = method

    @property
    def __signature__(self) -> Signature:
        return signature(self.__wrapped__)

    def _self_started(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Make a call that returns before it ends."""
        method = self._self_method
        call = method.begin()
        if call is None:
            return function(*args, **kwargs)
        if method.request_streaming:
            args, kwargs = _with_counted_requests(call, args, kwargs)
        try:
            running = function(*args, **kwargs)
        except BaseException as error:
            call.failed(error)
            raise
        return _observed(running, call)


class _OneResponse(_Callable):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._self_blocking(self.__wrapped__, args, kwargs)

    @property
    def with_call(self) -> Any:
        return FunctionWrapper(
            self.__wrapped__.with_call, lambda function, _, args, kwargs: self._self_blocking(function, args, kwargs)
        )

    @property
    def future(self) -> Any:
        return FunctionWrapper(
            self.__wrapped__.future, lambda function, _, args, kwargs: self._self_started(function, args, kwargs)
        )

    def _self_blocking(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        method = self._self_method
        call = method.begin()
        if call is None:
            return function(*args, **kwargs)
        if method.request_streaming:
            args, kwargs = _with_counted_requests(call, args, kwargs)
        try:
            response = function(*args, **kwargs)
        except BaseException as error:
            call.failed(error)
            raise
        call.finished(grpc.StatusCode.OK)
        return response


class _ManyResponses(_Callable):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._self_started(self.__wrapped__, args, kwargs)


def _observed(running: Any, call: ClientCall) -> Any:
    if not hasattr(running, "add_callback"):
        # An interceptor of this channel returned a generator instead of the call.
        return _iterated(running, call)
    try:
        return _Running(running, call)
    except Exception as error:
        report_failure(call.rpc.dropped, _observed, error, (running, call), {})
        call.abandon()
        return running


class _Running(Proxy):
    """A running call: a future, an iterator of responses, or both.

    gRPC cancels a call whose object is garbage collected, so the callback must not keep a reference to it. The end is
    therefore also recorded when the service drops its reference. A call of a channel without a thread of its own
    does not call back when it is cancelled.
    """

    def __init__(self, running: Any, call: ClientCall) -> None:
        super().__init__(running)
        self._self_call = call
        # In one attribute, because reading one of a proxy takes as long as to count a message.
        self._self_reading = running, call.unconfirmed, call.confirm, call.rpc
        reference = ref(running)
        if not running.add_callback(lambda: call.ended(reference())):
            call.ended(running)

    @imitates(grpc.Future.add_done_callback)
    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        self.__wrapped__.add_done_callback(lambda _running: fn(self))

    @imitates(grpc.RpcContext.cancel)
    def cancel(self) -> Any:
        cancelled = self.__wrapped__.cancel()
        self._self_call.observe(self.__wrapped__)
        return cancelled

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        running, unconfirmed, confirm, rpc = self._self_reading
        response = next(running)
        if unconfirmed:
            confirm()
        rpc.received(1)
        return response

    next = __next__

    def __del__(self) -> None:
        self._self_call.observe(self.__wrapped__)


def _iterated(responses: Iterator[Any], call: ClientCall) -> Iterator[Any]:
    try:
        for response in responses:
            call.message_received()
            yield response
    except BaseException as error:
        call.failed(error)
        raise
    call.finished(grpc.StatusCode.OK)


def _with_counted_requests(call: ClientCall, args: Any, kwargs: Any) -> Any:
    if args:
        return (_counted(args[0], call), *args[1:]), kwargs
    if "request_iterator" in kwargs:
        return args, {**kwargs, "request_iterator": _counted(kwargs["request_iterator"], call)}
    return args, kwargs


def _counted(requests: Iterator[Any], call: ClientCall) -> Iterator[Any]:
    """Messages of the service, counted when gRPC reads them."""
    while True:
        # Not a `for` loop: gRPC does not call `iter` either.
        try:
            message = next(requests)
        except StopIteration:
            return
        call.message_written()
        yield message
