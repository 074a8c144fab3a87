"""Probes of gRPC servers, by the health checking protocol: grpc.health.v1.Health/Check.

A server without that service answers UNIMPLEMENTED: it is up, since it answered.
"""

from __future__ import annotations

import asyncio
from os import environ
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from trust_otel.monitors.dependencies import errors, tls
from trust_otel.setting_lists import Dependency

# Not the connections of the service's own channels to the same server.
_OPTIONS: Final = (("grpc.use_local_subchannel_pool", 1),)

_CHECK: Final = "/grpc.health.v1.Health/Check"

_BY_CODE: Final = {
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.TIMEOUT,
    grpc.StatusCode.UNAUTHENTICATED: errors.AUTHENTICATION,
    grpc.StatusCode.PERMISSION_DENIED: errors.AUTHENTICATION,
    grpc.StatusCode.NOT_FOUND: errors.NOT_SERVING,
}
# gRPC tells only in its text why a server is UNAVAILABLE. The first that matches counts.
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
    """Ask for the health of the service in the URL's path, or of the server."""
    parts = urlsplit(dependency.url)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Not `grpc.aio`: it has one poller for all event loops of a process, and gets in the way of the service's.
    channel = _channel(parts)
    try:
        request = HealthCheckRequest(service=unquote(parts.path.lstrip("/")))
        ask = channel.unary_unary(_CHECK, HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString)
        call = ask.future(request, timeout=seconds)
        call.add_done_callback(lambda _call: _set_from_outside(loop, ended))
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
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(_authorities()), _OPTIONS)


def _authorities() -> bytes | None:
    """The system's certificate authorities, unless gRPC's own variable names others."""
    path = tls.authorities()
    if path is None or "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH" in environ:
        return None
    return Path(path).read_bytes()


def _set_from_outside(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    try:
        loop.call_soon_threadsafe(event.set)
    except RuntimeError:  # the check has ended without it, and its loop is closed
        return


def _error_type(call: grpc._CallFuture[HealthCheckResponse]) -> str | None:
    code, text = call.code(), call.details() or ""
    if code == grpc.StatusCode.OK:
        return None if call.result().status == HealthCheckResponse.SERVING else errors.NOT_SERVING
    if code == grpc.StatusCode.UNIMPLEMENTED:
        # gRPC also calls an HTTP 404 so, which then comes from something else that speaks HTTP/2.
        return errors.UNEXPECTED_ANSWER if "http2 header" in text else None
    if code == grpc.StatusCode.UNAVAILABLE:
        return next((name for part, name in _BY_TEXT if part in text), errors.UNEXPECTED_ANSWER)
    return _BY_CODE.get(code, errors.UNEXPECTED_ANSWER)
