"""What measured calls of servers and clients have in common."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Any, Literal

import grpc
from wrapt import ObjectProxy

from trust_otel.metrics.recorder import Recorder
from trust_otel.security.client_address import TrustedProxies

if TYPE_CHECKING:
    Proxy = ObjectProxy[Any]
else:
    Proxy = ObjectProxy

RpcType = Literal["unary", "client_stream", "server_stream", "bidi_stream"]

_STATUS_BY_NUMBER = {code.value[0]: code.name for code in grpc.StatusCode}


class Recording:
    """The recorder of calls, shared by all measured servers and channels; `None` after `stop`.

    Args:
        recorder: The recorder.
        proxies: What finds the address of a client.
        excluded: Methods whose calls are not measured.
    """

    def __init__(self, recorder: Recorder, proxies: TrustedProxies, excluded: Container[object] = ()) -> None:
        self.recorder: Recorder | None = recorder
        self.proxies = proxies
        self.excluded = excluded

    def stop(self) -> None:
        """Record no further calls."""
        self.recorder = None


def rpc_type(*, request_streaming: bool, response_streaming: bool) -> RpcType:
    """Value of `trust.rpc.type`."""
    if request_streaming:
        return "bidi_stream" if response_streaming else "client_stream"
    return "server_stream" if response_streaming else "unary"


def status_name(code: Any) -> str:
    """Name of a status as gRPC sends it: UNKNOWN for anything that is no status."""
    if isinstance(code, grpc.StatusCode):
        return code.name
    return _STATUS_BY_NUMBER.get(code, "UNKNOWN") if isinstance(code, int) else "UNKNOWN"
