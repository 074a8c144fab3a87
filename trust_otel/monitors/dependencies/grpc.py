"""Probe of gRPC servers with the health checking protocol (grpc.health.v1.Health/Check).

A server without that service responds with UNIMPLEMENTED and counts as up.
"""

from __future__ import annotations

import asyncio
from os import environ
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from trust_otel.monitors import tls
from trust_otel.monitors.dependencies import errors
from trust_otel.setting_lists import Dependency

# Do not share connections with the channels of the service.
_OPTIONS: Final = (("grpc.use_local_subchannel_pool", 1),)

_CHECK: Final = "/grpc.health.v1.Health/Check"

_BY_CODE: Final = {
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.TIMEOUT,
    grpc.StatusCode.UNAUTHENTICATED: errors.AUTHENTICATION,
    grpc.StatusCode.PERMISSION_DENIED: errors.AUTHENTICATION,
    grpc.StatusCode.NOT_FOUND: errors.NOT_SERVING,
}
# The reason for UNAVAILABLE is only in the message. The first match counts.
_BY_TEXT: Final = (
    ("DNS resolution failed", errors.NAME_RESOLUTION),
    ("errors resolving", errors.NAME_RESOLUTION),
    ("handshake failed", errors.TLS),
    ("Hostname Verification", errors.TLS),
    ("Connection refused", errors.CONNECTION_REFUSED),
    ("unreachable", errors.UNREACHABLE),
    ("No route to host", errors.UNREACHABLE),
)


async def probe(dependency: Dependency, seconds: float) -> str | None:
    """Check the health of the service in the path of the URL, or of the whole server."""
    parts = urlsplit(dependency.url)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Not `grpc.aio`: its poller is shared by all event loops of the process, including that of the service.
    channel = _channel(parts)
    try:
        request = HealthCheckRequest(service=unquote(parts.path.lstrip("/")))
        method = channel.unary_unary(_CHECK, HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString)
        call = method.future(request, timeout=seconds)
        call.add_done_callback(lambda _call: _set_threadsafe(loop, ended))
        try:
            await ended.wait()
        finally:
            call.cancel()
        return _error_type(call)
    finally:
        channel.close()


def _channel(parts: SplitResult) -> grpc.Channel:
    target = parts.netloc.rpartition("@")[2]
    if parts.scheme == "grpc":
        return grpc.insecure_channel(target, _OPTIONS)
    options: tuple[tuple[str, object], ...] = _OPTIONS
    host = parts.hostname or ""
    if tls.server_name(host) != host:
        # Also the name in SNI, and that in the certificate.
        options += (("grpc.default_authority", f"{tls.server_name(host)}:{parts.port}"),)
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(_ca_certificates()), options)


def _ca_certificates() -> bytes | None:
    """The CA certificates of the system, unless gRPC's own variable sets others."""
    path = tls.ca_file()
    if path is None or "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH" in environ:
        return None
    return Path(path).read_bytes()


def _set_threadsafe(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    try:
        loop.call_soon_threadsafe(event.set)
    except RuntimeError:  # the check has ended and its loop is closed
        return


def _error_type(call: grpc._CallFuture[HealthCheckResponse]) -> str | None:
    code, text = call.code(), call.details() or ""
    if code == grpc.StatusCode.OK:
        return None if call.result().status == HealthCheckResponse.SERVING else errors.NOT_SERVING
    if code == grpc.StatusCode.UNIMPLEMENTED:
        # gRPC also maps HTTP 404 of other HTTP/2 servers to UNIMPLEMENTED.
        return errors.UNEXPECTED_ANSWER if "http2 header" in text else None
    if code == grpc.StatusCode.UNAVAILABLE:
        return next((name for part, name in _BY_TEXT if part in text), errors.UNEXPECTED_ANSWER)
    return _BY_CODE.get(code, errors.UNEXPECTED_ANSWER)
