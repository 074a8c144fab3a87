"""gRPC calls without gRPC's C core and network, whose cost varies more than what is measured.

The servers and channels are made as a service makes them. What would reach the C core is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from importlib import import_module
from typing import Any

import grpc

from benchmarks.workloads import Round, calls

_MESSAGES = 1000
_MESSAGE = b"x" * 20
_UNARY, _STREAM = "/test.Service/Unary", "/test.Service/Stream"


def prepare(variant: str, case: str) -> Round:
    """A round of calls of a server or client."""
    side, kind = case.split()
    make = {"server": _server_call, "client": _client_call}[side]
    return calls(make(_STREAM if kind == "stream" else _UNARY, prometheus=variant == "py-grpc-prometheus"))


def _server_call(method: str, *, prometheus: bool) -> Callable[[], object]:
    interceptors = []
    if prometheus:
        from prometheus_client import CollectorRegistry
        from py_grpc_prometheus.prometheus_server_interceptor import PromServerInterceptor

        interceptors.append(PromServerInterceptor(enable_handling_time_histogram=True, registry=CollectorRegistry()))
    handlers: Any = grpc.method_handlers_generic_handler(
        "test.Service",
        {
            "Unary": grpc.unary_unary_rpc_method_handler(lambda _request, _context: _MESSAGE),
            "Stream": grpc.unary_stream_rpc_method_handler(lambda _request, _context: iter([_MESSAGE] * _MESSAGES)),
        },
    )
    server: Any = grpc.server(ThreadPoolExecutor(1), handlers=[handlers], interceptors=interceptors)
    pipeline = server._state.interceptor_pipeline
    details = _Details(method)

    def call() -> None:
        handler = pipeline.execute(handlers.service, details) if pipeline else handlers.service(details)
        context = _Context()
        if handler.response_streaming:
            for response in handler.unary_stream(_MESSAGE, context):
                _serialized(handler, response)
        else:
            _serialized(handler, handler.unary_unary(_MESSAGE, context))
        for callback in context.callbacks:
            callback()

    # As on a server, each call has a context of its own.
    return lambda: copy_context().run(call)


def _serialized(handler: Any, response: bytes) -> None:
    if handler.response_serializer:
        handler.response_serializer(response)


def _client_call(method: str, *, prometheus: bool) -> Callable[[], object]:
    # `grpc.insecure_channel` looks the class up when it is called.
    vars(import_module("grpc._channel"))["Channel"] = _Channel
    channel = grpc.insecure_channel("localhost:1")
    if prometheus:
        from prometheus_client import CollectorRegistry
        from py_grpc_prometheus.prometheus_client_interceptor import PromClientInterceptor

        interceptor = PromClientInterceptor(enable_client_handling_time_histogram=True, registry=CollectorRegistry())
        channel = grpc.intercept_channel(channel, interceptor)
    if method == _UNARY:
        unary: Any = channel.unary_unary(method)
        return lambda: unary(_MESSAGE)
    stream: Any = channel.unary_stream(method)

    def call() -> None:
        for _ in stream(_MESSAGE):
            pass

    return call


class _Details:
    """Of a call that reached a server."""

    invocation_metadata = ()

    def __init__(self, method: str) -> None:
        self.method = method


class _Context:
    """What a server passes to a handler."""

    class _state:  # noqa: N801 - private name of gRPC, which py-grpc-prometheus reads
        client = "open"
        code = None

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] = []

    def add_callback(self, callback: Callable[[], None]) -> bool:
        self.callbacks.append(callback)
        return True

    def is_active(self) -> bool:
        return True

    def code(self) -> None:
        return None

    def peer(self) -> str:
        return "ipv4:127.0.0.1:5000"

    def invocation_metadata(self) -> tuple[()]:
        return ()


class _Call:
    """A call of a client that has ended."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.OK

    def is_active(self) -> bool:
        return False

    def add_callback(self, callback: Callable[[], None]) -> bool:
        return False

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        callback(self)

    def result(self) -> bytes:
        return _MESSAGE


class _StreamingCall(_Call):
    """A call of a client that receives responses."""

    def __init__(self) -> None:
        self._responses = iter([_MESSAGE] * _MESSAGES)
        self._callbacks: list[Callable[[Any], None]] = []
        self._active = True

    def is_active(self) -> bool:
        return self._active

    def add_callback(self, callback: Callable[[], None]) -> bool:
        self._callbacks.append(lambda _: callback())
        return True

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callbacks.append(callback)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        for response in self._responses:
            return response
        self._active = False
        for callback in self._callbacks:
            callback(self)
        raise StopIteration


class _Unary:
    def __call__(self, request: bytes, **_: object) -> bytes:
        return _MESSAGE

    def with_call(self, request: bytes, **_: object) -> tuple[bytes, _Call]:
        return _MESSAGE, _Call()


class _Stream:
    def __call__(self, request: bytes, **_: object) -> _StreamingCall:
        return _StreamingCall()


class _Channel(grpc.Channel):
    """Responds to calls at once."""

    def __init__(self, *_: object) -> None:
        """Connect to nothing."""

    def unary_unary(self, *_: Any, **__: Any) -> Any:
        return _Unary()

    def unary_stream(self, *_: Any, **__: Any) -> Any:
        return _Stream()

    def stream_unary(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def stream_stream(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def subscribe(self, callback: Any, try_to_connect: bool = False) -> None:
        raise NotImplementedError

    def unsubscribe(self, callback: Any) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
