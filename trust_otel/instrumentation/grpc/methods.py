"""The methods that a server has: the only values of `rpc.method`.

A client can send any method name, and an interceptor may answer before the server looks the method up.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from inspect import iscoroutinefunction
from time import perf_counter
from typing import Any, Final

import grpc

from trust_otel.instrumentation.grpc.behaviors import Behavior
from trust_otel.instrumentation.grpc.calls import rpc_type
from trust_otel.metrics.recorder import Recorder
from trust_otel.metrics.rpc import RpcMethod
from trust_otel.patches import imitates
from trust_otel.recording.fail_open import fail_open

_OTHER: Final = "_OTHER"

_MOST_KNOWN: Final = 1000  # for a service handler that accepts whatever name a client sends


class ServedMethod:
    """A method of a server.

    Attributes:
        name: Full name, such as `trust.v1.TrustService/Validate`; `None` if the server has no such method.
        rpc: What is recorded of it.
        methods: All methods of the server.
    """

    __slots__ = ("_behavior", "methods", "name", "rpc")

    def __init__(self, methods: Methods, name: str | None, rpc: RpcMethod, behavior: Behavior | None) -> None:
        self.methods = methods
        self.name = name
        self.rpc = rpc
        self._behavior = behavior

    def behavior(self, handler: Any) -> Behavior:
        """What is known of the handler that a call got: an interceptor may have replaced the server's."""
        behavior = self._behavior
        return behavior if behavior is not None and behavior.handler is handler else Behavior(handler)


class Methods:
    """The methods that were added to a server.

    The methods of a `grpc.ServiceRpcHandler` are known, which generated code, health checking and reflection use; those
    of other implementations of `grpc.GenericRpcHandler`, such as proxies, are not, because they may accept any name.

    Attributes:
        excluded: Methods that are not measured.
    """

    def __init__(self, recorder: Recorder, excluded: Container[object] = ()) -> None:
        self.excluded = excluded
        self._rpc = recorder.rpc
        self._dropped = recorder.instruments.dropped
        self._registered: dict[str, Any] = {}
        self._services: list[grpc.ServiceRpcHandler] = []
        self._known: dict[str, ServedMethod] = {}
        self._cancels_calls_at = math.inf
        self._other = ServedMethod(self, None, self._rpc.rpc_method("server", method=_OTHER, rpc_type=_OTHER), None)

    def add_generic(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Add the methods of service handlers."""
        self._services += [handler for handler in handlers if isinstance(handler, grpc.ServiceRpcHandler)]

    def add_registered(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Add methods of a service, by name. They take precedence over those of service handlers."""
        self._registered.update({f"/{service}/{method}": handler for method, handler in handlers.items()})
        self._known = {}

    @property
    def calls_cancelled(self) -> bool:
        """Whether the server stopped, and cancelled the calls that did not end in time."""
        return perf_counter() >= self._cancels_calls_at

    @fail_open
    def stop(self, grace: float | None) -> None:
        """Note that the server stops, and cancels the calls that have not ended after `grace` seconds."""
        self._cancels_calls_at = min(self._cancels_calls_at, perf_counter() + (grace or 0))

    def find(self, details: grpc.HandlerCallDetails) -> ServedMethod:
        """The method of a call."""
        known = self._known.get(details.method)
        return self._look_up(details) if known is None else known

    @fail_open
    def track(self, server: Any) -> None:
        """Add each method that is registered with a server, sync or aio, from now on, and note when it stops.

        The server gets a subclass of its class, so that the service has the object that gRPC created. This
        may fail if another instrumentation replaced the server; later methods then count as `_OTHER`.
        """
        server.__class__ = _tracked(type(server), self)

    def _look_up(self, details: grpc.HandlerCallDetails) -> ServedMethod:
        try:
            handler = self._handler(details)
            behavior = None if handler is None else Behavior(handler)
        except Exception:  # the server calls the same handler, and raises the error there
            behavior = None
        if behavior is None:
            return self._other
        name = details.method.lstrip("/")
        kind = rpc_type(request_streaming=behavior.request_streaming, response_streaming=behavior.response_streaming)
        found = ServedMethod(self, name, self._rpc.rpc_method("server", method=name, rpc_type=kind), behavior)
        if len(self._known) < _MOST_KNOWN:
            self._known[details.method] = found
        return found

    def _handler(self, details: grpc.HandlerCallDetails) -> Any:
        handler = self._registered.get(details.method)
        if handler is not None:
            return handler
        return next((found for service in self._services if (found := service.service(details)) is not None), None)


def _tracked(kind: type[Any], methods: Methods) -> type[Any]:
    """A subclass of a server's class that adds each registered method to `methods`, and tells when it stops."""

    class Tracked(kind):  # type: ignore[misc]
        @imitates(kind.add_generic_rpc_handlers)
        def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
            handlers = tuple(generic_rpc_handlers)
            super().add_generic_rpc_handlers(handlers)
            methods.add_generic(handlers)

        if iscoroutinefunction(kind.stop):

            @imitates(kind.stop)
            async def stop(self, grace: float | None) -> Any:
                methods.stop(grace)
                return await super().stop(grace)

        else:

            @imitates(kind.stop)
            def stop(self, grace: float | None) -> Any:
                methods.stop(grace)
                return super().stop(grace)

        if hasattr(kind, "add_registered_method_handlers"):  # not in older versions

            @imitates(kind.add_registered_method_handlers)
            def add_registered_method_handlers(self, service_name: str, method_handlers: dict[str, Any]) -> None:
                super().add_registered_method_handlers(service_name, method_handlers)
                methods.add_registered(service_name, method_handlers)

    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(Tracked, name, getattr(kind, name))
    return Tracked
