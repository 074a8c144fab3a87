"""Limits for connections: a client that never completes a request cannot keep other clients out.

uvicorn has no timeout for request headers, and its limit for connections counts those that have sent nothing. Here
every connection has to complete a request in time. When there are too many, those that have waited longest are closed,
so that a client that sends its request at once is served, even from the same address as the others. A request with a
valid token is not closed to make room.
"""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 10.0
"""Timeout for the header of a request, and for a client without a token to read the response."""

RESPONSE_SECONDS = 60.0
"""Timeout for a request with a valid token, from its header to the last byte of the response."""

WAITING_PER_CLIENT = 64
"""Maximum connections of one client that wait for a request."""

WAITING = 1000
"""Maximum connections of all clients that wait for a request."""

AUTHORIZED = 256
"""Maximum concurrent requests with a valid token."""

_OPEN_FILES = 4 * WAITING
# Connections accepted in a burst may not have been read yet.
_GRACE_SECONDS = 1.0
_SCOPE_KEY = "trust_otel.connection"


@dataclass(eq=False)
class Connection:
    """An open connection.

    Attributes:
        client: The client's address; for IPv6 its /64 network, which one client controls as a whole.
        since: When it started to wait for a request, in event loop time.
        timer: Closes it.
        authorized: Whether a request with a valid token is being served.
        unauthorized_requests: Number of requests without a valid token.
    """

    transport: asyncio.Transport
    address: tuple[str, int]
    client: str
    since: float = 0.0
    timer: asyncio.TimerHandle | None = None
    authorized: bool = False
    unauthorized_requests: int = 0


class Connections:
    """The open connections of a server. Used only on its event loop.

    Args:
        waiting: Maximum connections that wait for a request.
        waiting_per_client: The same for one client.
        authorized: Maximum concurrent requests with a valid token.
    """

    def __init__(
        self, waiting: int = WAITING, waiting_per_client: int = WAITING_PER_CLIENT, authorized: int = AUTHORIZED
    ) -> None:
        self._max_waiting = waiting
        self._max_waiting_per_client = waiting_per_client
        self._max_authorized = authorized
        self._open: dict[tuple[str, int], Connection] = {}
        # Ordered by when they started to wait.
        self._waiting: dict[str, dict[Connection, None]] = {}
        self._waiting_count = 0
        self._authorized_count = 0

    def opened(self, transport: asyncio.Transport) -> Connection:
        """Add a new connection, and close others if there are too many."""
        host, port = (transport.get_extra_info("peername") or ("", 0))[:2]
        connection = Connection(transport, (host, port), _client(host))
        self._open[connection.address] = connection
        self.await_request(connection)
        self._make_room(connection.client)
        return connection

    def closed(self, connection: Connection) -> None:
        """Remove a closed connection."""
        self._stop(connection)
        if connection.timer is not None:
            connection.timer.cancel()
        if self._open.get(connection.address) is connection:
            del self._open[connection.address]

    def of(self, address: tuple[str, int] | None) -> Connection | None:
        """The open connection from an address."""
        return None if address is None else self._open.get(address)

    def await_request(self, connection: Connection) -> None:
        """Start to wait for a request on a connection."""
        self._stop(connection)
        self._waiting.setdefault(connection.client, {})[connection] = None
        self._waiting_count += 1
        self._limit(connection, REQUEST_SECONDS)

    def authorize(self, connection: Connection) -> bool:
        """Protect a connection until the response is sent; `False` when too many requests are being served."""
        if connection.authorized or self._open.get(connection.address) is not connection:
            return True
        if self._authorized_count >= self._max_authorized:
            return False
        self._stop(connection)
        connection.authorized = True
        self._authorized_count += 1
        self._limit(connection, RESPONSE_SECONDS)
        return True

    def _stop(self, connection: Connection) -> None:
        if connection.authorized:
            connection.authorized = False
            self._authorized_count -= 1
            return
        of_client = self._waiting.get(connection.client, {})
        if connection in of_client:
            del of_client[connection]
            self._waiting_count -= 1
            if not of_client:
                del self._waiting[connection.client]

    def _limit(self, connection: Connection, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if connection.timer is not None:
            connection.timer.cancel()
        connection.since = loop.time()
        connection.timer = loop.call_later(seconds, connection.transport.abort)

    def _make_room(self, client: str) -> None:
        now = asyncio.get_running_loop().time()
        while len(of_client := self._waiting.get(client, {})) > self._max_waiting_per_client:
            oldest = next(iter(of_client))
            if now - oldest.since < _GRACE_SECONDS:
                break
            self._close(oldest)
        while self._waiting_count > self._max_waiting:
            most = max(self._waiting, key=lambda client: len(self._waiting[client]))
            self._close(next(iter(self._waiting[most])))

    def _close(self, connection: Connection) -> None:
        self._stop(connection)
        connection.transport.abort()


class ConnectionLimits:
    """ASGI middleware that tracks the requests of each connection.

    Args:
        app: The application. It calls `authorized` for a request with a valid token.
        connections: The connections of the server.
    """

    def __init__(self, app: ASGIApp, connections: Connections) -> None:
        self._app = app
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        address = scope.get("client")
        connection = self._connections.of(address)
        if connection is None:
            await self._app(scope, receive, send)
            return
        self._connections.await_request(connection)
        scope[_SCOPE_KEY] = lambda: self._connections.authorize(connection)

        async def send_or_close(message: Message) -> None:
            if message["type"] == "http.response.start" and not connection.authorized:
                connection.unauthorized_requests += 1
                # Not after the first: closing while a body arrives could lose the response.
                if connection.unauthorized_requests > 1:
                    message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        try:
            await self._app(scope, receive, send_or_close)
        finally:
            if self._connections.of(address) is connection:
                self._connections.await_request(connection)


def authorized(scope: MutableMapping[str, Any]) -> bool:
    """Mark a request as having a valid token; `False` when it cannot be served now."""
    authorize = scope.get(_SCOPE_KEY)
    return authorize is None or bool(authorize())


def protocol(connections: Connections) -> type[H11Protocol]:
    """uvicorn's protocol for HTTP/1.1, with these limits."""

    class LimitedProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._connection = connections.opened(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.closed(self._connection)
            super().connection_lost(exc)

    return LimitedProtocol


def open_files() -> int:
    """The limit of open files of this process, raised to what the server needs if possible."""
    if sys.platform == "win32":
        return _OPEN_FILES
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def _client(host: str) -> str:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
