"""A measured call of a server, and the handler that replaces the one of the service."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from copy import copy
from time import perf_counter
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import grpc

from trust_otel.instrumentation.grpc.behaviors import Behavior
from trust_otel.instrumentation.grpc.methods import Methods, ServedMethod
from trust_otel.metrics.client import ClientMetrics, rpc_outcome
from trust_otel.metrics.recorder import Recorder
from trust_otel.metrics.request import Request, answering, authentication_method, stop_answering
from trust_otel.metrics.rpc import RpcCall
from trust_otel.metrics.security import SecurityMetrics
from trust_otel.recording.fail_open import report_failure
from trust_otel.security.client_address import TrustedProxies

_Call = TypeVar("_Call", bound="ServerCall")

Outcome = tuple[str, str | None]

OK: Final[Outcome] = ("OK", None)

# A client starts its timeout before the call arrives, and sends it rounded up by at most 1 %. A busy server notices the
# call late.
_DEADLINE_SHARE = 0.01
_DEADLINE_SECONDS = 0.05


class ServerCall(RpcCall, Request, ABC):
    """A call, and the request that it answers, from its arrival until the server is done with it.

    Attributes:
        behavior: The service's function.
        context: What gRPC passed to it, until the end.
        outcome: Status and `error.type`, as soon as it is known what the server is going to send. `None` while it has
            nothing to send, and if it fails to.
        unsent_error: `error.type` of an exception that keeps the server from sending a status.
        accepted: Whether the server is about to call the handler; one over its limit of concurrent calls never does.
    """

    # Shared by all calls until one is set, so that they cost nothing.
    context: Any = None
    outcome: Outcome | None = None
    unsent_error: str | None = None
    accepted = False
    behavior: Behavior

    def __init__(
        self,
        method: ServedMethod,
        metadata: Iterable[tuple[str, Any]],
        proxies: TrustedProxies,
        security: SecurityMetrics,
        clients: ClientMetrics,
    ) -> None:
        self._method = method
        self._metadata = metadata
        self._proxies = proxies
        self._security = security
        self._clients = clients
        super().__init__(method.rpc)

    @classmethod
    def begin(
        cls: type[_Call],
        recorder: Recorder,
        proxies: TrustedProxies,
        methods: Methods,
        details: grpc.HandlerCallDetails,
    ) -> _Call | None:
        """Start measuring a call that arrived; `None` if its service is not measured, and after an internal error."""
        try:
            if details.method in methods.excluded:
                return None
            method, metadata = methods.find(details), details.invocation_metadata or ()
            return cls(method, metadata, proxies, recorder.security, recorder.clients)
        except Exception as error:
            report_failure(recorder.instruments.dropped, cls.begin, error, (recorder, proxies, methods, details), {})
            return None

    def find_client_address(self) -> str | None:
        context = self.context
        if context is None:
            return None
        headers = [(name.encode(), text.encode()) for name, text in self._metadata if isinstance(text, str)]
        return self._proxies.client(peer_address(context.peer()), headers)

    def authentication_method(self) -> str | None:
        for name, text in self._metadata:
            if name == "authorization":
                return authentication_method(text)
        context = self.context
        return "certificate" if context is not None and context.peer_identities() else None

    def measured(self, handler: Any) -> Any:
        """The handler that the server gets instead of the service's."""
        try:
            behavior = self.behavior = self._method.behavior(handler)
            return MeasuredHandler(self, behavior, behavior.replaced_by(self._measuring(behavior), self))
        except Exception as error:
            report_failure(self._dropped, ServerCall.measured, error, (self, handler), {})
            self.abandon()
            return handler

    def began(self, context: Any) -> None:
        """Store the context of the call, which its handler got."""
        self.context = context
        self._security.request_began(self)
        if not self.behavior.request_streaming:
            self.rpc.received(1)

    @abstractmethod
    def deserialize(self, serialized: bytes) -> Any:
        """Convert a request; each of a stream counts as received."""

    @abstractmethod
    def serialize(self, message: Any) -> Any:
        """Convert a response."""

    def end(self, status: str, error_type: str | None = None) -> None:
        """Record the end, and the security event if the service refused the call."""
        if not self._finish(status, error_type):
            return
        if status == "OK":
            if error_type is None and not self.behavior.response_streaming:
                self.rpc.sent(1)
        elif self.outcome is not None:  # otherwise the server refused it, not the service
            self._security.request_answered(self, status, place=self._method.name)
        self.ended = True
        # Break the reference cycle: the gRPC context refers to the context variables, and so to this object.
        self.context = None
        self._metadata = ()

    def _finish(self, status: str, error_type: str | None) -> bool:
        if self.client_name is None:
            return self.finish(status, error_type)
        # In the thread in which the call ends; the SLAs of its duration have the client of the request.
        token = answering.set(self)
        try:
            recorded = self.finish(status, error_type)
        finally:
            stop_answering(token)
        if recorded:
            self._clients.request_ended(self, rpc_outcome(status, error_type))
        return recorded

    def terminated(self) -> None:
        """Record the end, as the server determined it or the client did by no longer waiting."""
        try:
            outcome = self.outcome
            if outcome is None or self._cancelled():
                self.outcome = None
                self.end(self._interruption(), self.unsent_error)
            else:
                self.end(*outcome)
        except Exception as error:
            report_failure(self._dropped, ServerCall.terminated, error, (self,), {})

    @abstractmethod
    def _cancelled(self) -> bool:
        """Whether the call was cancelled, by client or server, before its status was sent."""

    def _interruption(self) -> str:
        """The status of a call that ended before a status was sent."""
        if not self.accepted:
            return "RESOURCE_EXHAUSTED"
        if self._deadline_passed():
            return "DEADLINE_EXCEEDED"
        return "UNAVAILABLE" if self._method.methods.calls_cancelled else "CANCELLED"

    @staticmethod
    @abstractmethod
    def _measuring(behavior: Behavior) -> Callable[..., Any]:
        """The function that measures one like the service's; it takes the call before the arguments of that."""

    def _deadline_passed(self) -> bool:
        context = self.context
        remaining = None if context is None else context.time_remaining()
        if remaining is None:
            return False
        whole = perf_counter() - self._started + remaining
        return bool(remaining <= whole * _DEADLINE_SHARE + _DEADLINE_SECONDS)


class MeasuredHandler(grpc.RpcMethodHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Replaces the handler of the service in one call."""

    unary_unary = unary_stream = stream_unary = stream_stream = None

    def __init__(self, call: ServerCall, behavior: Behavior, function: Callable[..., Any]) -> None:
        self._call = call
        self._request_streaming = behavior.request_streaming
        self.response_streaming = behavior.response_streaming
        converts = behavior.request_streaming or behavior.deserializer is not None
        self.request_deserializer = call.deserialize if converts else None
        converts = behavior.response_streaming or behavior.serializer is not None
        self.response_serializer = call.serialize if converts else None
        setattr(self, behavior.attribute, function)

    def _replace(self, **changes: Any) -> MeasuredHandler:
        """A changed copy; interceptors call this method of gRPC's handlers."""
        replaced = copy(self)
        for name, value in changes.items():
            setattr(replaced, "_request_streaming" if name == "request_streaming" else name, value)
        return replaced

    @property
    def request_streaming(self) -> bool:  # type: ignore[override]  # gRPC only reads it
        """The first attribute that a server reads when it accepts a call."""
        self._call.accepted = True
        return self._request_streaming


def peer_address(peer: str) -> str | None:
    """Address of a gRPC peer such as `ipv6:%5B2001:db8::1%5D:50051`; `None` for a Unix socket."""
    kind, _, address = unquote(peer).partition(":")
    return address.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else None
