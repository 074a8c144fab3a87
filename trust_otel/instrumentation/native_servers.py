"""Logs a line about a server in this process that is not written in Python, such as one in Rust or Go.

Its requests reach no framework that is measured. Such a server listens on a socket that no Python object holds. So do
gRPC and uvloop: nothing is logged if the process has an application or gRPC server that is measured.
"""

from __future__ import annotations

import gc
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from trust_otel import settings
from trust_otel.disabled_instrumentations import is_disabled
from trust_otel.helper_processes import is_loading

_logger = logging.getLogger(__name__)

_COLLECTIONS: Final = 8
"""How many collections are preceded by a check, which is 2 minutes by default: some servers start late."""

_SERVING: Final = ("fastapi", "starlette", "grpc_server", "grpc_aio_server")

# Python servers that may run on uvloop. What they serve without a measured framework is not the concern of this module.
_PYTHON_SERVERS: Final = (
    "aiohttp.web",
    "daphne.server",
    "gunicorn.arbiter",
    "hypercorn.run",
    "sanic.server",
    "tornado.httpserver",
    "uvicorn.server",
)

# Measured as soon as it gets a request.
_APPLICATION: Final = ("starlette.applications", "Starlette")

_ENDPOINT: Final = "trust_otel.export.prometheus.server"

_DESCRIPTORS: Final = "/dev/fd"
_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)

Address = tuple[str, int]


class NativeServers:
    """Looks for such a server at the first collections.

    Args:
        is_measured: Whether an application or gRPC server that is measured runs in this process.
        environment: The environment variables.
    """

    def __init__(self, is_measured: Callable[[], bool], environment: Mapping[str, str]) -> None:
        self._is_measured = is_measured
        # A disabled server is not measured because the user says so.
        self._checks_left = 0 if any(is_disabled(name, environment) for name in _SERVING) else _COLLECTIONS

    def check(self) -> None:
        """Log a line if there is one, once."""
        # A process may inherit a socket before it imports the server.
        if not self._checks_left or is_loading():
            return
        self._checks_left -= 1
        if self._is_measured() or any(module in sys.modules for module in _PYTHON_SERVERS):
            self._checks_left = 0
            return
        addresses = native_listeners()
        if addresses:
            self._checks_left = 0
            _logger.warning(
                "trust-otel: the server on %s is not written in Python, and its requests are not measured; to measure "
                "them, use get_metrics().http_request_metrics() on its handlers if they are in Python, or the metrics "
                "of the server itself or of a proxy in front of it",
                ", ".join(f"{host}:{port}" for host, port in addresses),
            )


def native_listeners() -> list[Address]:
    """Addresses on which this process listens for TCP connections without a Python object for the socket.

    None if there is an application that is measured as soon as it gets a request. Those that a child process listens on
    too are left out: a parent of worker processes handles no requests.
    """
    listening = _listening()
    if _ENDPOINT in sys.modules:
        own = settings.current().prometheus_port
        listening = {number: address for number, address in listening.items() if address[1] != own}
    if not listening or _instances(*_APPLICATION):
        return []
    for each in _instances("socket", "socket"):
        listening.pop(each.fileno(), None)
    shared = _children_listen() if listening else set()
    return sorted({address for address in listening.values() if address not in shared})


def _listening() -> dict[int, Address]:
    """Address by file descriptor; each is asked, because the kernel's table has all connections of the host."""
    found: dict[int, Address] = {}
    if socket.getdefaulttimeout() is not None or socket.socket.__module__ != "socket":
        # A socket object, or one of gevent's, would make the descriptor non-blocking.
        return found
    for number in map(int, os.listdir(_DESCRIPTORS) if os.path.isdir(_DESCRIPTORS) else ()):
        try:
            candidate = socket.socket(fileno=number)
        except OSError:  # no socket, or closed meanwhile
            continue
        try:
            if candidate.family in _INTERNET and candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found[number] = candidate.getsockname()[:2]
        except OSError:
            continue
        finally:
            candidate.detach()
    return found


def _children_listen() -> set[Address]:
    # Imported here: rarely needed.
    import psutil

    found: set[Address] = set()
    for child in psutil.Process().children():
        with suppress(psutil.Error):  # it has ended
            found.update(each.laddr for each in child.net_connections(kind="tcp") if each.status == "LISTEN")
    return found


def _instances(module: str, name: str) -> list[Any]:
    """All objects of a class, if its module is loaded."""
    kind = getattr(sys.modules.get(module), name, None)
    return [each for each in gc.get_objects() if issubclass(type(each), kind)] if kind is not None else []
