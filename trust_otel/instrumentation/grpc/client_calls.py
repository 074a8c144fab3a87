"""A call that a client makes."""

from __future__ import annotations

from collections import deque
from typing import Any

import grpc
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from trust_otel.instrumentation.grpc.calls import Call, Recording, RpcType, status_name
from trust_otel.metrics.operation import error_type
from trust_otel.metrics.recorder import Recorder


class ClientCall(Call):
    """A call from when the service makes it until its status is there.

    A message is sent when gRPC took it, unless no server was reached: this shows only in what follows.
    """

    def __init__(self, recorder: Recorder, method: str, rpc_type: RpcType) -> None:
        super().__init__(recorder, "client", method, rpc_type)
        self._receives_one = rpc_type in ("unary", "client_stream")
        # The message that was taken last, until it is counted. A deque, since several threads may see that it arrived.
        self._unconfirmed = deque([True] if rpc_type in ("unary", "server_stream") else [], maxlen=1)

    def taken(self) -> None:
        """Note that gRPC took the next message of a stream."""
        self._confirm()
        self._unconfirmed.append(True)

    def answered(self) -> None:
        """Note a message from the server, which therefore got what was sent."""
        self._confirm()
        self.received()

    def finished(self, code: Any) -> None:
        """Record the end by its status."""
        status = status_name(code)
        if not self.end(status):
            return
        if status != "UNAVAILABLE":
            self._confirm()
        if status == "OK" and self._receives_one:
            self.received()

    def failed(self, error: BaseException) -> None:
        """Record the end by the exception that was raised in place of a call or of its response."""
        code = error.code() if isinstance(error, grpc.RpcError) and hasattr(error, "code") else None
        if isinstance(code, grpc.StatusCode):
            self.finished(code)
        else:
            self.end("UNKNOWN" if isinstance(error, Exception) else "CANCELLED", error_type(error))

    def _confirm(self) -> None:
        try:
            self._unconfirmed.pop()
        except IndexError:
            return
        self.sent()


def begin(recording: Recording, method: Any, rpc_type: RpcType) -> ClientCall | None:
    """Start measuring, unless the call belongs to telemetry itself, such as an export of metrics."""
    recorder = recording.recorder
    if recorder is None or not is_instrumentation_enabled():
        return None
    name = method.decode() if isinstance(method, bytes) else str(method)
    return ClientCall(recorder, name.lstrip("/"), rpc_type)
