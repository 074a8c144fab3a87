"""A call that a server answers, and the handler through which the server answers it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import grpc

from trust_otel.instrumentation.grpc.calls import Call, status_name
from trust_otel.metrics import TrustServiceMetrics
from trust_otel.metrics.operation import error_type

# A client counts its deadline from before the call arrives and sends it rounded up, by at most a hundredth.
_DEADLINE_SHARE = 0.01
_DEADLINE_SECONDS = 0.01


class ServerCall(Call):
    """A call from its arrival until the server is done with it.

    The status is known before the end (`outcome`), but becomes true only when the client was still there to get it.
    """

    def __init__(self, metrics: TrustServiceMetrics, method: str, rpc_type: str) -> None:
        super().__init__(metrics, "server", method, rpc_type)
        self.context: Any = None
        self.outcome: tuple[str, str | None] | None = None
        self._arrived = perf_counter()
        # A server over its limit of concurrent calls refuses without a look at the handler.
        self._unreached: str | None = "RESOURCE_EXHAUSTED"
        self._sends_one = False
        self.counts_serialized = False

    def accepted(self, *, sends_one: bool) -> None:
        """Note that the server is going to call the handler."""
        self._unreached = None
        self._sends_one = sends_one

    def raised(self, status: str, error: BaseException) -> None:
        """Note that the call fails because of an exception."""
        self.outcome = (status, error_type(error))

    def terminated(self) -> None:
        """Record the end."""
        if self.outcome is None:
            self.interrupted()
        elif self.end(*self.outcome) and self._sends_one and self.outcome[0] == "OK":
            self.sent()

    def interrupted(self) -> None:
        """Record an end that came before there was a status to send."""
        self.end(self._unreached or ("DEADLINE_EXCEEDED" if self._deadline_passed() else "CANCELLED"))

    def _deadline_passed(self) -> bool:
        remaining = None if self.context is None else self.context.time_remaining()
        if remaining is None:
            return False
        whole = perf_counter() - self._arrived + remaining
        return bool(remaining <= whole * _DEADLINE_SHARE + _DEADLINE_SECONDS)


class MeasuredHandler(grpc.RpcMethodHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """What the server calls in place of the handler that it found."""

    def __init__(self, handler: Any, call: ServerCall, behavior: Callable[..., Any], failed_status: str) -> None:
        self._call = call
        self._request_streaming = handler.request_streaming
        self.response_streaming = handler.response_streaming
        self.request_deserializer = handler.request_deserializer and _noting(
            handler.request_deserializer, call, failed_status
        )
        self.response_serializer = _counting(
            _noting(handler.response_serializer or _as_it_is, call, failed_status), call
        )
        self.unary_unary = self.unary_stream = self.stream_unary = self.stream_stream = None
        setattr(self, behavior_name(handler), behavior)

    @property
    def request_streaming(self) -> bool:  # type: ignore[override]  # gRPC only reads it
        """What a server asks first when it accepts a call."""
        self._call.accepted(sends_one=not self.response_streaming)
        return bool(self._request_streaming)


class Requests:
    """Messages of the client, counted as the handler takes them."""

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


def behavior_name(handler: Any) -> str:
    """Name of the handler's attribute that holds the service's function."""
    request = "stream" if handler.request_streaming else "unary"
    return f"{request}_{'stream' if handler.response_streaming else 'unary'}"


def known_status(code: Any) -> str:
    """Status of a handler that ended normally."""
    return "OK" if code is None else status_name(code)


def _as_it_is(message: Any) -> Any:
    return message


def _noting(convert: Callable[[Any], Any], call: ServerCall, failed_status: str) -> Callable[[Any], Any]:
    def noted(message: Any) -> Any:
        try:
            return convert(message)
        except BaseException as error:
            call.raised(failed_status, error)
            if call.context is None:  # a request that cannot be read never gets to the handler
                call.terminated()
            raise

    return noted


def _counting(serialize: Callable[[Any], Any], call: ServerCall) -> Callable[[Any], Any]:
    def counted(message: Any) -> Any:
        serialized = serialize(message)
        if call.counts_serialized:
            call.sent()
        return serialized

    return counted
