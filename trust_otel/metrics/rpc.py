"""RPC calls. Source: OpenTelemetry semantic conventions 1.44, "RPC metrics"."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from trust_otel.metrics.family import Family
from trust_otel.recording.instruments import BoundedCounter, BoundedHistogram, Instruments
from trust_otel.semconv.metrics import (
    RPC_CLIENT_CALL_DURATION,
    RPC_SERVER_CALL_DURATION,
    TRUST_RPC_CLIENT_ACTIVE_CALLS,
    TRUST_RPC_CLIENT_MESSAGES,
    TRUST_RPC_SERVER_ACTIVE_CALLS,
    TRUST_RPC_SERVER_MESSAGES,
)

Side = Literal["server", "client"]


@dataclass(frozen=True)
class _Recorders:
    duration: BoundedHistogram
    active: BoundedCounter
    messages: BoundedCounter


class RpcMetrics(Family):
    """Calls that the service answers and makes."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._rpc: dict[Side, _Recorders] = {
            "server": _Recorders(
                instruments.histogram(RPC_SERVER_CALL_DURATION),
                instruments.up_down_counter(TRUST_RPC_SERVER_ACTIVE_CALLS),
                instruments.counter(TRUST_RPC_SERVER_MESSAGES),
            ),
            "client": _Recorders(
                instruments.histogram(RPC_CLIENT_CALL_DURATION),
                instruments.up_down_counter(TRUST_RPC_CLIENT_ACTIVE_CALLS),
                instruments.counter(TRUST_RPC_CLIENT_MESSAGES),
            ),
        }

    def rpc_call(self, side: Side, *, method: str, rpc_type: str) -> RpcCall:
        """Start measuring a gRPC call; the caller must call `finish` on what it gets.

        Args:
            side: Whether the service answers (`server`) or makes (`client`) the call.
            method: Full name without a leading slash, such as `trust.v1.TrustService/Validate`.
            rpc_type: `unary`, `client_stream`, `server_stream` or `bidi_stream`.
        """
        recorders = self._rpc["client" if isinstance(side, str) and side == "client" else "server"]
        return RpcCall(recorders, side, method, rpc_type)


class RpcCall:
    """A call between its start and its end."""

    __slots__ = ("_finished", "_labels", "_received", "_recorders", "_sent", "_started")

    def __init__(self, recorders: _Recorders, side: Side, method: str, rpc_type: str) -> None:
        self._recorders = recorders
        self._labels: dict[str, object] = {"rpc.method": method, "trust.rpc.type": rpc_type}
        self._received = {**self._labels, "trust.rpc.message.direction": "received"}
        self._sent = {**self._labels, "trust.rpc.message.direction": "sent"}
        self._finished = False
        recorders.active(1, self._labels)
        self._started = perf_counter()

    def message_received(self) -> None:
        """Count a message from the other side."""
        self._recorders.messages(1, self._received)

    def message_sent(self) -> None:
        """Count a message to the other side."""
        self._recorders.messages(1, self._sent)

    def finish(self, status: str, error_type: str | None = None) -> None:
        """Record the end; a second call does nothing, because a call may be seen to end in two places.

        Args:
            status: Name of the gRPC status code, such as `OK`.
            error_type: Class of the exception; by default the status, when it is not `OK`.
        """
        if self._finished:
            return
        self._finished = True
        seconds = perf_counter() - self._started
        self._recorders.active(-1, self._labels)
        self._recorders.duration(
            seconds,
            {
                **self._labels,
                "rpc.system.name": "grpc",
                "rpc.response.status_code": status,
                "error.type": _failure(status) if error_type is None else error_type,
            },
        )


def _failure(status: str) -> str | None:
    return None if isinstance(status, str) and status == "OK" else status
