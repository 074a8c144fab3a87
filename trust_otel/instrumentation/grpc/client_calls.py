"""A measured call of a client."""

from __future__ import annotations

from typing import Any

import grpc
from opentelemetry.context import get_current
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from trust_otel.instrumentation.grpc.calls import Recording, RpcType, status_name
from trust_otel.metrics.operation import error_type
from trust_otel.metrics.recorder import Recorder
from trust_otel.metrics.rpc import RpcCall, RpcMethod
from trust_otel.recording.fail_open import fail_open


class ClientCall(RpcCall):
    """A call from its start until its status.

    A message counts as sent when it is confirmed that a server was reached: by a later message or by the status.
    """

    def __init__(self, rpc: RpcMethod, rpc_type: RpcType) -> None:
        self._receives_one = rpc_type in ("unary", "client_stream")
        # The last message given to gRPC, until it is confirmed. A list, since several threads may confirm it.
        self._unconfirmed = [True] if rpc_type in ("unary", "server_stream") else []
        super().__init__(rpc)

    def message_written(self) -> None:
        """Confirm the last message; gRPC read the next one from the service's stream."""
        self._confirm()
        self._unconfirmed.append(True)

    def message_received(self) -> None:
        """Count a message from the server, and confirm the last message that was sent."""
        if self._unconfirmed:
            self._confirm()
        self.rpc.received(1)

    def finished(self, code: Any) -> None:
        """Record the end with a status."""
        try:
            status = "OK" if code is grpc.StatusCode.OK else status_name(code)
            if not self.finish(status):
                return
            if status != "UNAVAILABLE":
                self._confirm()
            if status == "OK" and self._receives_one:
                self.rpc.received(1)
        except Exception:
            self._dropped.count("internal_error")

    @fail_open
    def ended(self, running: Any) -> None:
        """Record the end of a call of `grpc`; `None` if the service dropped it, so that gRPC cancelled it."""
        self.finished(grpc.StatusCode.CANCELLED if running is None else running.code())

    @fail_open
    def observe(self, running: Any) -> None:
        """Record the end of a call of `grpc` if it has a status already."""
        if not running.is_active():
            self.finished(running.code())

    @fail_open
    def failed(self, error: BaseException) -> None:
        """Record the end with the exception that was raised instead of a call or a response."""
        code = error.code() if isinstance(error, grpc.RpcError) and hasattr(error, "code") else None
        if isinstance(code, grpc.StatusCode):
            self.finished(code)
        else:
            self.finish("UNKNOWN" if isinstance(error, Exception) else "CANCELLED", error_type(error))

    def _confirm(self) -> None:
        try:
            self._unconfirmed.pop()
        except IndexError:
            return
        self.rpc.sent(1)


class CalledMethod:
    """A method that a channel calls.

    Args:
        recording: What records the calls.
        method: Full name with a leading slash, as text or bytes.
        rpc_type: Value of `trust.rpc.type`.
    """

    __slots__ = ("_method", "_recording", "_rpc", "rpc_type")

    def __init__(self, recording: Recording, method: Any, rpc_type: RpcType) -> None:
        self._recording = recording
        self._method = method
        self.rpc_type = rpc_type
        self._rpc: RpcMethod | None = None

    def begin(self) -> ClientCall | None:
        """Start measuring a call; `None` for a call of the SDK, such as an export of metrics."""
        recorder = self._recording.recorder
        # The first test is quick, and nearly always enough.
        if recorder is None or (get_current() and not is_instrumentation_enabled()):
            return None
        try:
            rpc = self._rpc
            if rpc is None:
                rpc = self._rpc = self._bind(recorder)
            return ClientCall(rpc, self.rpc_type)
        except Exception:
            recorder.instruments.dropped.count("internal_error")
            return None

    def _bind(self, recorder: Recorder) -> RpcMethod:
        name = self._method.decode() if isinstance(self._method, bytes) else str(self._method)
        return recorder.rpc.rpc_method("client", method=name.lstrip("/"), rpc_type=self.rpc_type)
