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

from trust_otel.instrumentation.grpc.calls import Proxy, Recording, RpcType
from trust_otel.instrumentation.grpc.client_calls import ClientCall, begin
from trust_otel.patches import imitates


class MeasuredChannel(Proxy):
    """A channel whose calls are measured."""

    def __init__(self, channel: Any, recording: Recording) -> None:
        super().__init__(channel)
        self._self_recording = recording

    @property
    def unary_unary(self) -> Any:
        return self._self_measured(self.__wrapped__.unary_unary, _OneResponse, "unary")

    @property
    def stream_unary(self) -> Any:
        return self._self_measured(self.__wrapped__.stream_unary, _OneResponse, "client_stream")

    @property
    def unary_stream(self) -> Any:
        return self._self_measured(self.__wrapped__.unary_stream, _ManyResponses, "server_stream")

    @property
    def stream_stream(self) -> Any:
        return self._self_measured(self.__wrapped__.stream_stream, _ManyResponses, "bidi_stream")

    def _self_measured(self, make: Any, kind: type[_Callable], rpc_type: RpcType) -> Any:
        def made(_make: Any, _instance: object, args: Any, kwargs: Any) -> _Callable:
            callable_ = make(*args, **kwargs)
            return kind(callable_, self._self_recording, args[0] if args else kwargs["method"], rpc_type)

        return FunctionWrapper(make, made)

    def __enter__(self) -> MeasuredChannel:
        self.__wrapped__.__enter__()
        return self


class _Callable(Proxy):
    """A multi-callable, which a stub calls."""

    def __init__(self, callable_: Any, recording: Recording, method: Any, rpc_type: RpcType) -> None:
        super().__init__(callable_)
        self._self_recording = recording
        self._self_method = method
        self._self_type = rpc_type
        self._self_request_streaming = rpc_type in ("client_stream", "bidi_stream")

    @property
    def __signature__(self) -> Signature:
        return signature(self.__wrapped__)

    def _self_begin(self) -> ClientCall | None:
        return begin(self._self_recording, self._self_method, self._self_type)

    def _self_make(self, function: Callable[..., Any], call: ClientCall, args: Any, kwargs: Any) -> Any:
        if self._self_request_streaming:
            args, kwargs = _with_counted_requests(call, args, kwargs)
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            call.failed(error)
            raise


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

    def _self_started(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        call = self._self_begin()
        if call is None:
            return function(*args, **kwargs)
        return _observed(self._self_make(function, call, args, kwargs), call)

    def _self_blocking(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        call = self._self_begin()
        if call is None:
            return function(*args, **kwargs)
        response = self._self_make(function, call, args, kwargs)
        call.finished(grpc.StatusCode.OK)
        return response


class _ManyResponses(_Callable):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call = self._self_begin()
        if call is None:
            return self.__wrapped__(*args, **kwargs)
        return _observed(self._self_make(self.__wrapped__, call, args, kwargs), call)


def _observed(running: Any, call: ClientCall) -> Any:
    if hasattr(running, "add_callback"):
        return _Running(running, call)
    # An interceptor of this channel returned a generator instead of the call.
    return _iterated(running, call)


def _observing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method of a call from whose result the service may learn that the call ended."""
    name = original.__name__

    @imitates(original)
    def method(self: _Running, *args: Any, **kwargs: Any) -> Any:
        return self._self_observe(getattr(self.__wrapped__, name), *args, **kwargs)

    return method


class _Running(Proxy):
    """A running call: a future, an iterator of responses, or both.

    gRPC cancels a call whose object is garbage collected, so the callback must not keep a reference to it. The end is
    therefore also recorded whenever the service observes it, before it can drop its reference.
    """

    def __init__(self, running: Any, call: ClientCall) -> None:
        super().__init__(running)
        self._self_call = call
        reference = ref(running)

        def ended() -> None:
            alive = reference()
            call.finished(grpc.StatusCode.CANCELLED if alive is None else alive.code())

        if not running.add_callback(ended):
            ended()

    result = _observing(grpc.Future.result)
    exception = _observing(grpc.Future.exception)
    traceback = _observing(grpc.Future.traceback)
    code = _observing(grpc.Call.code)
    details = _observing(grpc.Call.details)
    trailing_metadata = _observing(grpc.Call.trailing_metadata)
    cancel = _observing(grpc.RpcContext.cancel)

    @imitates(grpc.Future.add_done_callback)
    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        self.__wrapped__.add_done_callback(lambda _running: fn(self))

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        response = self._self_observe(next, self.__wrapped__)
        self._self_call.message_received()
        return response

    next = __next__

    def _self_observe(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            if not self.__wrapped__.is_active():
                self._self_call.finished(self.__wrapped__.code())


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
        return (_Requests(args[0], call), *args[1:]), kwargs
    if "request_iterator" in kwargs:
        return args, {**kwargs, "request_iterator": _Requests(kwargs["request_iterator"], call)}
    return args, kwargs


class _Requests:
    """Messages of the service, counted when gRPC reads them."""

    def __init__(self, requests: Iterator[Any], call: ClientCall) -> None:
        self._requests = requests
        self._call = call

    def __iter__(self) -> _Requests:
        return self

    def __next__(self) -> Any:
        message = next(self._requests)
        self._call.message_written()
        return message
