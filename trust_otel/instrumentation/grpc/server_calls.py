"""A measured call of a server, and the handler that replaces the one of the service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from time import perf_counter
from typing import Any
from urllib.parse import unquote

import grpc
from wrapt import FunctionWrapper

from trust_otel.instrumentation.grpc.calls import Call, status_name
from trust_otel.instrumentation.grpc.methods import OTHER
from trust_otel.metrics.operation import error_type
from trust_otel.metrics.recorder import Recorder
from trust_otel.metrics.request import Request, authentication_method
from trust_otel.security.client_address import TrustedProxies

# A client starts its timeout before the call arrives, and sends it rounded up by at most 1 %.
_DEADLINE_SHARE = 0.01
_DEADLINE_SECONDS = 0.01

_KINDS = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR


class ServedRequest(Request):
    """The request of a call. Not the call itself: a context variable would keep it alive too long."""

    def __init__(self, proxies: TrustedProxies, details: grpc.HandlerCallDetails) -> None:
        self.context: Any = None
        self._proxies = proxies
        self._metadata: Iterable[tuple[str, Any]] = details.invocation_metadata or ()

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

    def end(self) -> None:
        """End the request after the response is complete."""
        self.ended = True
        # Break the reference cycle: the gRPC context refers to the context variables, and so to this object.
        self.context = None
        self._metadata = ()


class ServerCall(Call):
    """A call from its arrival until the server is done with it.

    Attributes:
        outcome: Status and `error.type`, as soon as the handler determines them. The call may still end otherwise, if
            the client cancels it before it receives the status.
    """

    def __init__(self, recorder: Recorder, method: str, rpc_type: str, request: ServedRequest) -> None:
        super().__init__(recorder, "server", method, rpc_type)
        self.request = request
        self.context: Any = None
        self._recorder = recorder
        self._place = None if method == OTHER else method
        self.outcome: tuple[str, str | None] | None = None
        self._arrived = perf_counter()
        # A server over its limit of concurrent calls refuses them without calling the handler.
        self._status_without_handler: str | None = "RESOURCE_EXHAUSTED"
        self._sends_one = False
        self.counts_serialized = False

    def started(self, context: Any) -> None:
        """Store the context of the call; the handler was called."""
        self.context = self.request.context = context
        self._recorder.security.request_began(self.request)

    def accepted(self, *, sends_one: bool) -> None:
        """The server is about to call the handler."""
        self._status_without_handler = None
        self._sends_one = sends_one

    def raised(self, status: str, error: BaseException) -> None:
        """Set the outcome to an exception."""
        self.outcome = (status, error_type(error))

    def end(self, status: str, error_type: str | None = None) -> bool:
        """Record the end, and the security event if the service refused the call."""
        if not super().end(status, error_type):
            return False
        if self.outcome is not None:  # otherwise the server refused it, not the service
            self._recorder.security.request_answered(self.request, status, place=self._place)
        self.request.end()
        return True

    def terminated(self) -> None:
        """Record the end."""
        if self.outcome is None:
            self.interrupted()
        elif self.end(*self.outcome) and self._sends_one and self.outcome[0] == "OK":
            self.sent()

    def interrupted(self) -> None:
        """Record an end before the handler returned a status."""
        self.end(self._status_without_handler or ("DEADLINE_EXCEEDED" if self._deadline_passed() else "CANCELLED"))

    def _deadline_passed(self) -> bool:
        remaining = None if self.context is None else self.context.time_remaining()
        if remaining is None:
            return False
        whole = perf_counter() - self._arrived + remaining
        return bool(remaining <= whole * _DEADLINE_SHARE + _DEADLINE_SECONDS)


class MeasuredHandler(grpc.RpcMethodHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Replaces the handler of the service."""

    def __init__(self, handler: Any, call: ServerCall, behavior: Callable[..., Any], failed_status: str) -> None:
        self._call = call
        self._request_streaming = handler.request_streaming
        self.response_streaming = handler.response_streaming
        self.request_deserializer = handler.request_deserializer and _recording_errors(
            handler.request_deserializer, call, failed_status
        )
        self.response_serializer = _counting(
            _recording_errors(handler.response_serializer or _identity, call, failed_status), call
        )
        self.unary_unary = self.unary_stream = self.stream_unary = self.stream_stream = None
        name = behavior_name(handler)
        setattr(self, name, _replacement_of(getattr(handler, name), behavior))

    def _replace(self, **changes: Any) -> MeasuredHandler:
        """A changed copy; interceptors call this method of gRPC's handlers."""
        replaced = copy(self)
        for name, value in changes.items():
            setattr(replaced, "_request_streaming" if name == "request_streaming" else name, value)
        return replaced

    @property
    def request_streaming(self) -> bool:  # type: ignore[override]  # gRPC only reads it
        """The first attribute that a server reads when it accepts a call."""
        self._call.accepted(sends_one=not self.response_streaming)
        return bool(self._request_streaming)


class Requests:
    """Messages of the client, counted when the handler reads them."""

    def __init__(self, requests: Iterator[Any], call: ServerCall) -> None:
        self._requests = requests
        self._call = call

    def __iter__(self) -> Requests:
        return self

    def __next__(self) -> Any:
        message = next(self._requests)
        self._call.received()
        return message

    next = __next__

    def __getattr__(self, name: str) -> Any:
        return getattr(self._requests, name)


def peer_address(peer: str) -> str | None:
    """Address of a gRPC peer such as `ipv6:%5B2001:db8::1%5D:50051`; `None` for a Unix socket."""
    kind, _, address = unquote(peer).partition(":")
    return address.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else None


def behavior_name(handler: Any) -> str:
    """Name of the handler's attribute that holds the service's function."""
    request = "stream" if handler.request_streaming else "unary"
    return f"{request}_{'stream' if handler.response_streaming else 'unary'}"


def known_status(code: Any) -> str:
    """Status of a handler that ended normally."""
    return "OK" if code is None else status_name(code)


def _replacement_of(behavior: Any, measured: Any) -> Any:
    """The measured function with the name, module and documentation of the service's function."""
    code = getattr(behavior, "__code__", None)
    if code is not None and (code.co_flags ^ measured.__code__.co_flags) & _KINDS:
        return FunctionWrapper(behavior, lambda _behavior, _instance, args, kwargs: measured(*args, **kwargs))
    # Not `functools.update_wrapper`, which takes half as long as a whole call.
    measured.__wrapped__ = behavior
    measured.__name__ = getattr(behavior, "__name__", measured.__name__)
    measured.__qualname__ = getattr(behavior, "__qualname__", measured.__qualname__)
    measured.__module__ = behavior.__module__
    measured.__doc__ = behavior.__doc__
    return measured


def _identity(message: Any) -> Any:
    return message


def _recording_errors(convert: Callable[[Any], Any], call: ServerCall, failed_status: str) -> Callable[[Any], Any]:
    def converted(message: Any) -> Any:
        try:
            return convert(message)
        except BaseException as error:
            call.raised(failed_status, error)
            if call.context is None:  # a request that cannot be deserialized never reaches the handler
                call.terminated()
            raise

    return converted


def _counting(serialize: Callable[[Any], Any], call: ServerCall) -> Callable[[Any], Any]:
    def counted(message: Any) -> Any:
        serialized = serialize(message)
        if call.counts_serialized:
            call.sent()
        return serialized

    return counted
