"""Channels of `grpc.aio`.

A channel is measured around its calls, not by client interceptors: with these, calls are other objects, which cannot
tell the time that remains, and which write through a queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from inspect import Signature, signature
from typing import Any
from weakref import proxy

import grpc.aio
from wrapt import FunctionWrapper

from trust_otel.instrumentation.grpc.calls import Proxy, Recording, RpcType
from trust_otel.instrumentation.grpc.client_calls import ClientCall, begin

_Convert = Callable[[Any], Any]


class MeasuredAioChannel(Proxy):
    """A channel whose calls are measured."""

    def __init__(self, channel: Any, recording: Recording) -> None:
        super().__init__(channel)
        self._self_recording = recording

    @property
    def unary_unary(self) -> Any:
        return self._self_measured(self.__wrapped__.unary_unary, "unary")

    @property
    def stream_unary(self) -> Any:
        return self._self_measured(self.__wrapped__.stream_unary, "client_stream")

    @property
    def unary_stream(self) -> Any:
        return self._self_measured(self.__wrapped__.unary_stream, "server_stream")

    @property
    def stream_stream(self) -> Any:
        return self._self_measured(self.__wrapped__.stream_stream, "bidi_stream")

    async def __aenter__(self) -> MeasuredAioChannel:
        await self.__wrapped__.__aenter__()
        return self

    def _self_measured(self, make: Any, kind: RpcType) -> Any:
        def measured(
            callable_: Any,
            method: Any,
            request_serializer: Any = None,
            response_deserializer: Any = None,
            *rest: Any,
            **options: Any,
        ) -> _Callable:
            def again(serializer: _Convert | None, deserializer: _Convert | None) -> Any:
                return make(method, serializer, deserializer, *rest, **options)

            return _Callable(
                callable_, again, self._self_recording, method, kind, request_serializer, response_deserializer
            )

        def made(_make: Any, _instance: object, args: Any, kwargs: Any) -> _Callable:
            return measured(make(*args, **kwargs), *args, **kwargs)

        return FunctionWrapper(make, made)


class _Callable(Proxy):
    """What a stub calls. Messages of streams are counted as they become bytes and cease to be."""

    def __init__(
        self,
        callable_: Any,
        make: Callable[[_Convert | None, _Convert | None], Any],
        recording: Recording,
        method: Any,
        kind: RpcType,
        serializer: _Convert | None,
        deserializer: _Convert | None,
    ) -> None:
        super().__init__(callable_)
        self._self_make = make
        self._self_recording = recording
        self._self_method = method
        self._self_type = kind
        self._self_serializer = serializer
        self._self_deserializer = deserializer

    @property
    def __signature__(self) -> Signature:
        return signature(self.__wrapped__)

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
        return self._self_make(serializer, deserializer)


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
