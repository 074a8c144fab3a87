"""A measured call of a client."""

from __future__ import annotations

from typing import Any

import grpc
from opentelemetry.context import get_current
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from trust_otel.instrumentation.grpc.calls import Recording, rpc_type, status_name
from trust_otel.metrics.operation import error_type
from trust_otel.metrics.recorder import Recorder
from trust_otel.metrics.rpc import RpcCall, RpcMethod
from trust_otel.recording.fail_open import fail_open, report_failure


class ClientCall(RpcCall):
    """A call from its start until its status.

    A message counts as sent when it is confirmed that a server was reached: by a later message or by the status.

    Attributes:
        unconfirmed: Has an item while the last message given to gRPC is not confirmed. Several threads may confirm it.
    """

    def __init__(self, rpc: RpcMethod, *, request_streaming: bool, response_streaming: bool) -> None:
        self.unconfirmed = [] if request_streaming else [True]
        self._response_streaming = response_streaming
        super().__init__(rpc)

    def confirm(self) -> None:
        """Count the last message given to gRPC as sent."""
        try:
            self.unconfirmed.pop()
        except IndexError:
            return
        self.rpc.sent(1)

    def message_written(self) -> None:
        """Confirm the last message; gRPC read the next one from the service's stream."""
        self.confirm()
        self.unconfirmed.append(True)

    def message_received(self) -> None:
        """Count a message from the server, and confirm the last message that was sent."""
        if self.unconfirmed:
            self.confirm()
        self.rpc.received(1)

    def finished(self, code: Any) -> None:
        """Record the end with a status."""
        try:
            status = "OK" if code is grpc.StatusCode.OK else status_name(code)
            if not self.finish(status):
                return
            if status != "UNAVAILABLE":
                self.confirm()
            if status == "OK" and not self._response_streaming:
                self.rpc.received(1)
        except Exception as error:
            report_failure(self._dropped, ClientCall.finished, error, (self, code), {})

    @fail_open
    def ended(self, running: Any) -> None:
        """Record the end of a call of `grpc`; `None` if the service dropped it, so that gRPC cancelled it."""
        self.finished(grpc.StatusCode.CANCELLED if running is None else running.code())

    @fail_open
    def observe(self, running: Any) -> None:
        """Record the end of a call of `grpc` if it has a status already."""
        if not self._finished.locked() and not running.is_active():
            self.finished(running.code())

    @fail_open
    def failed(self, error: BaseException) -> None:
        """Record the end with the exception that was raised instead of a call or a response."""
        code = error.code() if isinstance(error, grpc.RpcError) and hasattr(error, "code") else None
        if isinstance(code, grpc.StatusCode):
            self.finished(code)
        else:
            self.finish("UNKNOWN" if isinstance(error, Exception) else "CANCELLED", error_type(error))


class CalledMethod:
    """A method that a channel calls.

    Args:
        recording: What records the calls.
        method: Full name with a leading slash, as text or bytes.
        request_streaming: Whether a call sends any number of messages.
        response_streaming: Whether a call receives any number of messages.
    """

    __slots__ = ("_method", "_recording", "_rpc", "request_streaming", "response_streaming")

    def __init__(self, recording: Recording, method: Any, *, request_streaming: bool, response_streaming: bool) -> None:
        self._recording = recording
        self._method = method
        self.request_streaming = request_streaming
        self.response_streaming = response_streaming
        self._rpc: RpcMethod | None = None

    def begin(self) -> ClientCall | None:
        """Start measuring a call; `None` for a call of the SDK, such as an export, or of an excluded service."""
        recorder = self._recording.recorder
        # The first test is quick, and nearly always enough.
        if recorder is None or (get_current() and not is_instrumentation_enabled()):
            return None
        try:
            rpc = self._rpc
            if rpc is None:
                if self._method in self._recording.excluded:
                    return None
                rpc = self._rpc = self._bind(recorder)
            return ClientCall(rpc, request_streaming=self.request_streaming, response_streaming=self.response_streaming)
        except Exception as error:
            report_failure(recorder.instruments.dropped, CalledMethod.begin, error, (self,), {})
            return None

    def _bind(self, recorder: Recorder) -> RpcMethod:
        name = self._method.decode() if isinstance(self._method, bytes) else str(self._method)
        kind = rpc_type(request_streaming=self.request_streaming, response_streaming=self.response_streaming)
        return recorder.rpc.rpc_method("client", method=name.lstrip("/"), rpc_type=kind)
