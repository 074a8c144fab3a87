"""Channels of `grpc`.

A channel is measured around its calls, not by a client interceptor: an intercepted channel gives other objects back,
and raises at other moments, than the channel that the service asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

import grpc

from trust_otel.instrumentation.grpc.calls import Proxy, Recording, RpcType
from trust_otel.instrumentation.grpc.client_calls import ClientCall, begin


class MeasuredChannel(Proxy):
    """A channel whose calls are measured."""

    def __init__(self, channel: Any, recording: Recording) -> None:
        super().__init__(channel)
        self._self_recording = recording

    def unary_unary(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        callable_ = self.__wrapped__.unary_unary(method, *args, **kwargs)
        return _OneResponse(callable_, self._self_recording, method, "unary")

    def stream_unary(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        callable_ = self.__wrapped__.stream_unary(method, *args, **kwargs)
        return _OneResponse(callable_, self._self_recording, method, "client_stream")

    def unary_stream(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        callable_ = self.__wrapped__.unary_stream(method, *args, **kwargs)
        return _ManyResponses(callable_, self._self_recording, method, "server_stream")

    def stream_stream(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        callable_ = self.__wrapped__.stream_stream(method, *args, **kwargs)
        return _ManyResponses(callable_, self._self_recording, method, "bidi_stream")

    def __enter__(self) -> MeasuredChannel:
        self.__wrapped__.__enter__()
        return self


class _Callable(Proxy):
    """What a stub calls."""

    def __init__(self, callable_: Any, recording: Recording, method: Any, rpc_type: RpcType) -> None:
        super().__init__(callable_)
        self._self_recording = recording
        self._self_method = method
        self._self_type = rpc_type
        self._self_request_streaming = rpc_type in ("client_stream", "bidi_stream")

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

    def with_call(self, *args: Any, **kwargs: Any) -> Any:
        return self._self_blocking(self.__wrapped__.with_call, args, kwargs)

    def future(self, *args: Any, **kwargs: Any) -> Any:
        call = self._self_begin()
        if call is None:
            return self.__wrapped__.future(*args, **kwargs)
        return _observed(self._self_make(self.__wrapped__.future, call, args, kwargs), call)

    def _self_blocking(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        call = self._self_begin()
        if call is None:
            return function(*args, **kwargs)
        answer = self._self_make(function, call, args, kwargs)
        call.finished(grpc.StatusCode.OK)
        return answer


class _ManyResponses(_Callable):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call = self._self_begin()
        if call is None:
            return self.__wrapped__(*args, **kwargs)
        return _observed(self._self_make(self.__wrapped__, call, args, kwargs), call)


def _observed(running: Any, call: ClientCall) -> Any:
    if hasattr(running, "add_callback"):
        return _Running(running, call)
    # An interceptor below this channel gave a generator in place of the call.
    return _iterated(running, call)


class _Running(Proxy):
    """A call that runs: a future, an iterator of responses, or both.

    gRPC cancels a call when nobody keeps its object any more, so that waiting for the end must not keep it. Therefore
    the end is noted wherever the service learns of it, too, before it can let go.
    """

    def __init__(self, running: Any, call: ClientCall) -> None:
        super().__init__(running)
        self._self_call = call
        weakly = ref(running)

        def ended() -> None:
            kept = weakly()
            call.finished(grpc.StatusCode.CANCELLED if kept is None else kept.code())

        if not running.add_callback(ended):
            ended()

    def result(self, *args: Any, **kwargs: Any) -> Any:
        return self._self_learn(self.__wrapped__.result, *args, **kwargs)

    def exception(self, *args: Any, **kwargs: Any) -> Any:
        return self._self_learn(self.__wrapped__.exception, *args, **kwargs)

    def traceback(self, *args: Any, **kwargs: Any) -> Any:
        return self._self_learn(self.__wrapped__.traceback, *args, **kwargs)

    def code(self) -> Any:
        return self._self_learn(self.__wrapped__.code)

    def details(self) -> Any:
        return self._self_learn(self.__wrapped__.details)

    def trailing_metadata(self) -> Any:
        return self._self_learn(self.__wrapped__.trailing_metadata)

    def cancel(self) -> Any:
        return self._self_learn(self.__wrapped__.cancel)

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        self.__wrapped__.add_done_callback(lambda _running: fn(self))

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        response = self._self_learn(next, self.__wrapped__)
        self._self_call.answered()
        return response

    next = __next__

    def _self_learn(self, ask: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return ask(*args, **kwargs)
        finally:
            if not self.__wrapped__.is_active():
                self._self_call.finished(self.__wrapped__.code())


def _iterated(responses: Iterator[Any], call: ClientCall) -> Iterator[Any]:
    try:
        for response in responses:
            call.answered()
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
    """Messages of the service, counted as gRPC takes them."""

    def __init__(self, requests: Iterator[Any], call: ClientCall) -> None:
        self._requests = requests
        self._call = call

    def __iter__(self) -> _Requests:
        return self

    def __next__(self) -> Any:
        message = next(self._requests)
        self._call.taken()
        return message
