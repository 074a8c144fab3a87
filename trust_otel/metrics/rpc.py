"""RPC calls. Source: OpenTelemetry semantic conventions 1.44, "RPC metrics"."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from trust_otel.metrics.family import Family
from trust_otel.recording.instruments import BoundedCounter, BoundedHistogram, Instruments, PositionalLabels, Record
from trust_otel.recording.self_metrics import DroppedMeasurements
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
    """Calls that the service answers and makes.

    Attributes:
        serving: Whether a server was created.
    """

    serving = False

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

    def rpc_method(self, side: Side, *, method: str, rpc_type: str) -> RpcMethod:
        """Bind what is recorded of a gRPC method to its labels; keep the result for all calls of the method.

        Args:
            side: Whether the service answers (`server`) or makes (`client`) the calls.
            method: Full name without a leading slash, such as `trust.v1.TrustService/Validate`.
            rpc_type: `unary`, `client_stream`, `server_stream` or `bidi_stream`.
        """
        recorders = self._rpc["client" if isinstance(side, str) and side == "client" else "server"]
        return RpcMethod(recorders, method, rpc_type, self._dropped)


class RpcMethod:
    """The series of a gRPC method. Its functions never raise; counters take 1 or -1, which need no check.

    Attributes:
        active: Adds to the number of active calls.
        received: Adds to the number of messages from the other side.
        sent: Adds to the number of messages to the other side.
        succeeded: Records the seconds of a call with the status OK, which needs no look-up.
        ended: Records the seconds of a call with the name of its status and its `error.type`.
        dropped: Counts what cannot be recorded.
    """

    __slots__ = ("active", "dropped", "ended", "received", "sent", "succeeded")

    active: Record
    received: Record
    sent: Record

    def __init__(self, recorders: _Recorders, method: str, rpc_type: str, dropped: DroppedMeasurements) -> None:
        labels = {"rpc.method": method, "trust.rpc.type": rpc_type}
        self._bind("active", recorders.active, labels)
        self._bind("received", recorders.messages, {**labels, "trust.rpc.message.direction": "received"})
        self._bind("sent", recorders.messages, {**labels, "trust.rpc.message.direction": "sent"})
        labels["rpc.system.name"] = "grpc"
        self.succeeded = recorders.duration.bind({**labels, "rpc.response.status_code": "OK"})
        self.ended = PositionalLabels(recorders.duration, "rpc.response.status_code", "error.type", fixed=labels)
        self.dropped = dropped

    def _bind(self, name: str, counter: BoundedCounter, labels: dict[str, str]) -> None:
        """Add to a counter, and after the first amount directly to its series."""
        attributes = dict(labels)

        def add(amount: float) -> None:
            counter(amount, attributes)
            series = counter.kept_series(attributes)
            if series is not None:
                setattr(self, name, series.add)

        setattr(self, name, add)


class RpcCall:
    """A call from its creation until the first `finish`; several threads may see it end.

    Attributes:
        rpc: What is recorded of its method.
    """

    def __init__(self, method: RpcMethod) -> None:
        self.rpc = method
        self._finished = threading.Lock()
        method.active(1)
        self._started = perf_counter()

    def finish(self, status: str, error_type: str | None = None) -> bool:
        """Record the end; returns whether it was not recorded before.

        Args:
            status: Name of the gRPC status code, such as `OK`.
            error_type: Class of the exception; by default the status, when it is not `OK`.
        """
        if not self._finished.acquire(False):
            return False
        seconds = perf_counter() - self._started
        self.rpc.active(-1)
        if error_type is None and isinstance(status, str) and status == "OK":
            self.rpc.succeeded(seconds)
        else:
            self.rpc.ended(seconds, status, status if error_type is None else error_type)
        return True

    def abandon(self) -> None:
        """Record no end, because an internal error keeps it from being seen."""
        if self._finished.acquire(False):
            self.rpc.active(-1)

    @property
    def _dropped(self) -> DroppedMeasurements:
        return self.rpc.dropped
