"""Channels of `grpc.aio`.

A channel is measured around its calls, not by client interceptors: with these, calls are other objects, which cannot
tell the time that remains, and which write through a queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any
from weakref import proxy

import grpc.aio

from trust_otel.instrumentation.grpc.calls import Proxy, Recording, RpcType
from trust_otel.instrumentation.grpc.client_calls import ClientCall, begin

_Convert = Callable[[Any], Any]


class MeasuredAioChannel(Proxy):
    """A channel whose calls are measured."""

    def __init__(self, channel: Any, recording: Recording) -> None:
        super().__init__(channel)
        self._self_recording = recording

    def unary_unary(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        return self._self_callable("unary", self.__wrapped__.unary_unary, method, args, kwargs)

    def stream_unary(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        return self._self_callable("client_stream", self.__wrapped__.stream_unary, method, args, kwargs)

    def unary_stream(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        return self._self_callable("server_stream", self.__wrapped__.unary_stream, method, args, kwargs)

    def stream_stream(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        return self._self_callable("bidi_stream", self.__wrapped__.stream_stream, method, args, kwargs)

    async def __aenter__(self) -> MeasuredAioChannel:
        await self.__wrapped__.__aenter__()
        return self

    def _self_callable(self, kind: RpcType, make: Callable[..., Any], method: Any, args: Any, kwargs: Any) -> Any:
        def bound(serializer: Any = None, deserializer: Any = None, *rest: Any, **options: Any) -> _Callable:
            serializer = options.pop("request_serializer", serializer)
            deserializer = options.pop("response_deserializer", deserializer)
            return _Callable(
                partial(make, method, *rest, **options), self._self_recording, method, kind, serializer, deserializer
            )

        return bound(*args, **kwargs)


class _Callable(Proxy):
    """What a stub calls. Messages of streams are counted as they become bytes and cease to be."""

    def __init__(
        self,
        make: Callable[..., Any],
        recording: Recording,
        method: Any,
        kind: RpcType,
        serializer: _Convert | None,
        deserializer: _Convert | None,
    ) -> None:
        super().__init__(make(request_serializer=serializer, response_deserializer=deserializer))
        self._self_make = make
        self._self_recording = recording
        self._self_method = method
        self._self_type = kind
        self._self_serializer = serializer
        self._self_deserializer = deserializer

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call = begin(self._self_recording, self._self_method, self._self_type)
        if call is None:
            return self.__wrapped__(*args, **kwargs)
        try:
            running = self._self_counting(call)(*args, **kwargs)
        except BaseException as error:
            call.failed(error)
            raise
        _observe(running, call, streaming=self._self_type in ("server_stream", "bidi_stream"))
        return running

    def _self_counting(self, call: ClientCall) -> Any:
        kind = self._self_type
        if kind == "unary":
            return self.__wrapped__
        serializer, deserializer = self._self_serializer, self._self_deserializer
        if kind != "server_stream":
            serializer = _then(serializer, call.taken)
        if kind != "client_stream":
            deserializer = _then(deserializer, call.answered)
        return self._self_make(request_serializer=serializer, response_deserializer=deserializer)


def _then(convert: _Convert | None, count: Callable[[], None]) -> _Convert:
    def counted(message: Any) -> Any:
        converted = message if convert is None else convert(message)
        count()
        return converted

    return counted


def _observe(running: Any, call: ClientCall, *, streaming: bool) -> None:
    """Record the end without keeping the call: gRPC may cancel a stream when nobody keeps its call any more."""
    weakly = proxy(running)
    loop = _running_loop()
    # Two ends need a task. That of an abandoned stream comes within a garbage collection, which may have interrupted a
    # recording and its lock. That of an interceptor which raises does not reach the callbacks in older gRPC.
    if loop is not None and (streaming or hasattr(running, "_interceptors_task")):
        watch = loop.create_task(_watch(weakly, type(running).code(weakly), call))
        _watching.add(watch)
        watch.add_done_callback(_watching.discard)
    else:
        type(running).add_done_callback(weakly, partial(_ended, call))


_watching: set[asyncio.Task[None]] = set()


async def _watch(running: Any, code: Coroutine[Any, Any, Any], call: ClientCall) -> None:
    try:
        call.finished(await code)
    except asyncio.CancelledError:  # the event loop ends
        _ended(call, running)
        raise
    except Exception as error:
        call.failed(error)


def _ended(call: ClientCall, running: Any) -> None:
    """Record the end of a call whose status is there, if it ever will be."""
    try:
        coroutine = running.code()
    except ReferenceError:
        call.finished(grpc.StatusCode.CANCELLED)
        return
    try:
        coroutine.send(None)
        call.finished(grpc.StatusCode.CANCELLED)
    except StopIteration as done:
        call.finished(done.value)
    except Exception as error:  # an interceptor of the service raised it in place of a call
        call.failed(error)
    finally:
        coroutine.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
