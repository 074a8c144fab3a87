"""Measures the channels of `grpc.aio`.

Calls are wrapped instead of intercepted: interceptors replace the call objects, without `time_remaining`, and writes go
through a queue.
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

from trust_otel.instrumentation.grpc.calls import Proxy, Recording
from trust_otel.instrumentation.grpc.client_calls import CalledMethod, ClientCall
from trust_otel.recording.fail_open import report_failure

_Convert = Callable[[Any], Any]


class MeasuredAioChannel(Proxy):
    """A channel whose calls are measured."""

    def __init__(self, channel: Any, recording: Recording) -> None:
        super().__init__(channel)
        self._self_recording = recording

    @property
    def unary_unary(self) -> Any:
        return self._self_measured(self.__wrapped__.unary_unary, request_streaming=False, response_streaming=False)

    @property
    def stream_unary(self) -> Any:
        return self._self_measured(self.__wrapped__.stream_unary, request_streaming=True, response_streaming=False)

    @property
    def unary_stream(self) -> Any:
        return self._self_measured(self.__wrapped__.unary_stream, request_streaming=False, response_streaming=True)

    @property
    def stream_stream(self) -> Any:
        return self._self_measured(self.__wrapped__.stream_stream, request_streaming=True, response_streaming=True)

    async def __aenter__(self) -> MeasuredAioChannel:
        await self.__wrapped__.__aenter__()
        return self

    def _self_measured(self, make: Any, *, request_streaming: bool, response_streaming: bool) -> Any:
        def measured(
            callable_: Any,
            method: Any,
            request_serializer: Any = None,
            response_deserializer: Any = None,
            *rest: Any,
            **options: Any,
        ) -> _Callable:
            def make_again(serializer: _Convert | None, deserializer: _Convert | None) -> Any:
                return make(method, serializer, deserializer, *rest, **options)

            called = CalledMethod(
                self._self_recording,
                method,
                request_streaming=request_streaming,
                response_streaming=response_streaming,
            )
            return _Callable(callable_, make_again, called, request_serializer, response_deserializer)

        def made(_make: Any, _instance: object, args: Any, kwargs: Any) -> _Callable:
            return measured(make(*args, **kwargs), *args, **kwargs)

        return FunctionWrapper(make, made)


class _Callable(Proxy):
    """A multi-callable, which a stub calls. Messages of streams are counted when they are (de)serialized."""

    def __init__(
        self,
        callable_: Any,
        make: Callable[[_Convert | None, _Convert | None], Any],
        method: CalledMethod,
        serializer: _Convert | None,
        deserializer: _Convert | None,
    ) -> None:
        super().__init__(callable_)
        self._self_make = make
        self._self_method = method
        self._self_serializer = serializer
        self._self_deserializer = deserializer

    @property
    def __signature__(self) -> Signature:
        return signature(self.__wrapped__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call = self._self_method.begin()
        if call is None:
            return self.__wrapped__(*args, **kwargs)
        try:
            running = self._self_counting(call)(*args, **kwargs)
        except BaseException as error:
            call.failed(error)
            raise
        try:
            _observe(running, call, streaming=self._self_method.response_streaming)
        except Exception as error:
            report_failure(call.rpc.dropped, _Callable.__call__, error, (self, *args), kwargs)
            call.abandon()
        return running

    def _self_counting(self, call: ClientCall) -> Any:
        method = self._self_method
        if not method.request_streaming and not method.response_streaming:
            return self.__wrapped__
        serializer, deserializer = self._self_serializer, self._self_deserializer
        if method.request_streaming:
            serializer = _then(serializer, call.message_written)
        if method.response_streaming:
            deserializer = _then(deserializer, call.message_received)
        return self._self_make(serializer, deserializer)


def _then(convert: _Convert | None, count: Callable[[], None]) -> _Convert:
    def counted(message: Any) -> Any:
        converted = message if convert is None else convert(message)
        count()
        return converted

    return counted


def _observe(running: Any, call: ClientCall, *, streaming: bool) -> None:
    """Record the end without a reference to the call: gRPC cancels a stream whose call is garbage collected."""
    weak = proxy(running)
    loop = _running_loop()
    # Two cases need a task. An abandoned stream ends during garbage collection, which may interrupt a recording that
    # holds a lock. And older gRPC does not call the callbacks if an interceptor raises.
    if loop is not None and (streaming or hasattr(running, "_interceptors_task")):
        watch = loop.create_task(_watch(weak, type(running).code(weak), call))
        _watching.add(watch)
        watch.add_done_callback(_watching.discard)
    else:
        type(running).add_done_callback(weak, partial(_ended, call))


_watching: set[asyncio.Task[None]] = set()


async def _watch(running: Any, code: Coroutine[Any, Any, Any], call: ClientCall) -> None:
    try:
        call.finished(await code)
    except asyncio.CancelledError:  # the event loop shuts down
        _ended(call, running)
        raise
    except Exception as error:
        call.failed(error)


def _ended(call: ClientCall, running: Any) -> None:
    """Record the end of a call that is done; without a status, it was cancelled."""
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
    except Exception as error:  # raised by an interceptor of the service
        call.failed(error)
    finally:
        coroutine.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
