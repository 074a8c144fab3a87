"""A measured call of a client."""

from __future__ import annotations

from collections import deque
from typing import Any

import grpc
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from trust_otel.instrumentation.grpc.calls import Call, Recording, RpcType, status_name
from trust_otel.metrics.operation import error_type
from trust_otel.metrics.recorder import Recorder


class ClientCall(Call):
    """A call from its start until its status.

    A message counts as sent when it is confirmed that a server was reached: by a later message or by the status.
    """

    def __init__(self, recorder: Recorder, method: str, rpc_type: RpcType) -> None:
        super().__init__(recorder, "client", method, rpc_type)
        self._receives_one = rpc_type in ("unary", "client_stream")
        # The last message given to gRPC, until it is confirmed. A deque, since several threads may confirm it.
        self._unconfirmed = deque([True] if rpc_type in ("unary", "server_stream") else [], maxlen=1)

    def message_written(self) -> None:
        """Confirm the last message; gRPC read the next one from the service's stream."""
        self._confirm()
        self._unconfirmed.append(True)

    def message_received(self) -> None:
        """Count a message from the server, and confirm the last message that was sent."""
        self._confirm()
        self.received()

    def finished(self, code: Any) -> None:
        """Record the end with a status."""
        status = status_name(code)
        if not self.end(status):
            return
        if status != "UNAVAILABLE":
            self._confirm()
        if status == "OK" and self._receives_one:
            self.received()

    def failed(self, error: BaseException) -> None:
        """Record the end with the exception that was raised instead of a call or a response."""
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
    """Start measuring a call; `None` for a call of the SDK, such as an export of metrics."""
    recorder = recording.recorder
    if recorder is None or not is_instrumentation_enabled():
        return None
    name = method.decode() if isinstance(method, bytes) else str(method)
    return ClientCall(recorder, name.lstrip("/"), rpc_type)
