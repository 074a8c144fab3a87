"""Which methods a server has: the only names that may stand in a series.

A client can send any name, and an interceptor may answer to it before anyone has asked whether there is such a method.
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
    """The methods that were given to a server.

    A hand-written `grpc.GenericRpcHandler` may answer to any name, as a proxy does, so its methods are not known; those
    of a `grpc.ServiceRpcHandler`, which generated code, health checking and reflection use, are.
    """

    def __init__(self, dropped: DroppedMeasurements) -> None:
        self._dropped = dropped
        self._registered: dict[str, Any] = {}
        self._services: list[grpc.ServiceRpcHandler] = []

    def add_generic(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Learn methods from handlers of whole services."""
        self._services += [handler for handler in handlers if isinstance(handler, grpc.ServiceRpcHandler)]

    def add_registered(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Learn methods of a service, by name."""
        self._registered.update({f"/{service}/{method}": handler for method, handler in handlers.items()})

    def labels(self, details: grpc.HandlerCallDetails) -> tuple[str, str]:
        """Method and type of a call; `_OTHER` for both when the server has no such method."""
        try:
            handler = self._find(details)
        except Exception:  # the server asks the same handler, and meets the same error where it belongs
            handler = None
        if handler is None:
            return OTHER, OTHER
        kind = rpc_type(request_streaming=handler.request_streaming, response_streaming=handler.response_streaming)
        return details.method.lstrip("/"), kind

    @fail_open
    def watch(self, server: Any) -> None:
        """Learn the methods that a server, sync or aio, is given from now on.

        The server's class becomes a subclass of what it was, so that the service gets the object that gRPC made. This
        fails for an object of another instrumentation; methods that are added to it later are counted as `_OTHER`.
        """
        server.__class__ = _watched(type(server), self)

    def _find(self, details: grpc.HandlerCallDetails) -> Any:
        handler = self._registered.get(details.method)
        if handler is not None:
            return handler
        return next((found for service in self._services if (found := service.service(details)) is not None), None)


def _watched(kind: type[Any], methods: Methods) -> type[Any]:
    """A server's class whose objects report the methods that they are given."""

    class Watched(kind):  # type: ignore[misc]
        @imitates(kind.add_generic_rpc_handlers)
        def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
            handlers = tuple(generic_rpc_handlers)
            super().add_generic_rpc_handlers(handlers)
            methods.add_generic(handlers)

        if hasattr(kind, "add_registered_method_handlers"):  # which older servers do not have

            @imitates(kind.add_registered_method_handlers)
            def add_registered_method_handlers(self, service_name: str, method_handlers: dict[str, Any]) -> None:
                super().add_registered_method_handlers(service_name, method_handlers)
                methods.add_registered(service_name, method_handlers)

    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(Watched, name, getattr(kind, name))
    return Watched
