"""The methods that a server has: the only values of `rpc.method`.

A client can send any method name, and an interceptor may answer before the server looks the method up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import grpc

from trust_otel.instrumentation.grpc.calls import rpc_type
from trust_otel.patches import imitates
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.self_metrics import DroppedMeasurements

OTHER = "_OTHER"


class Methods:
    """The methods that were added to a server.

    The methods of a `grpc.ServiceRpcHandler` are known, which generated code, health checking and reflection use; those
    of other implementations of `grpc.GenericRpcHandler`, such as proxies, are not, because they may accept any name.
    """

    def __init__(self, dropped: DroppedMeasurements) -> None:
        self._dropped = dropped
        self._registered: dict[str, Any] = {}
        self._services: list[grpc.ServiceRpcHandler] = []

    def add_generic(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Add the methods of service handlers."""
        self._services += [handler for handler in handlers if isinstance(handler, grpc.ServiceRpcHandler)]

    def add_registered(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Add methods of a service, by name."""
        self._registered.update({f"/{service}/{method}": handler for method, handler in handlers.items()})

    def labels(self, details: grpc.HandlerCallDetails) -> tuple[str, str]:
        """Values of `rpc.method` and `trust.rpc.type`; `_OTHER` for both if the server has no such method."""
        try:
            handler = self._find(details)
        except Exception:  # the server calls the same handler, and raises the error there
            handler = None
        if handler is None:
            return OTHER, OTHER
        kind = rpc_type(request_streaming=handler.request_streaming, response_streaming=handler.response_streaming)
        return details.method.lstrip("/"), kind

    @fail_open
    def track(self, server: Any) -> None:
        """Add each method that is registered with a server, sync or aio, from now on.

        The server gets a subclass of its class, so that the service has the object that gRPC created. This
        may fail if another instrumentation replaced the server; later methods then count as `_OTHER`.
        """
        server.__class__ = _tracked(type(server), self)

    def _find(self, details: grpc.HandlerCallDetails) -> Any:
        handler = self._registered.get(details.method)
        if handler is not None:
            return handler
        return next((found for service in self._services if (found := service.service(details)) is not None), None)


def _tracked(kind: type[Any], methods: Methods) -> type[Any]:
    """A subclass of a server's class that adds each registered method to `methods`."""

    class Tracked(kind):  # type: ignore[misc]
        @imitates(kind.add_generic_rpc_handlers)
        def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
            handlers = tuple(generic_rpc_handlers)
            super().add_generic_rpc_handlers(handlers)
            methods.add_generic(handlers)

        if hasattr(kind, "add_registered_method_handlers"):  # not in older versions

            @imitates(kind.add_registered_method_handlers)
            def add_registered_method_handlers(self, service_name: str, method_handlers: dict[str, Any]) -> None:
                super().add_registered_method_handlers(service_name, method_handlers)
                methods.add_registered(service_name, method_handlers)

    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(Tracked, name, getattr(kind, name))
    return Tracked
