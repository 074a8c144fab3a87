"""Probe of PostgreSQL: a new connection and `SELECT 1`."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Any, Final
from urllib.parse import urlsplit

from psycopg import AsyncConnection, OperationalError
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import ConnectionTimeout
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn

from trust_otel.monitors import tls
from trust_otel.monitors.dependencies import errors
from trust_otel.setting_lists import Dependency

# libpq has no SQLSTATE for connection failures. The first match counts.
_BY_TEXT: Final = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        ("failed to resolve host", errors.NAME_RESOLUTION),
        ("Connection refused", errors.CONNECTION_REFUSED),
        ("unreachable|No route to host", errors.UNREACHABLE),
        (
            r'authentication failed|password|pg_hba\.conf|role ".*" (does not exist|is not permitted)',
            errors.AUTHENTICATION,
        ),
        ("invalid response|closed the connection|reset by peer", errors.UNEXPECTED_ANSWER),
        ("SSL|certificate", errors.TLS),
        ("the database system is|not accepting connections|too many|connection slots", errors.NOT_SERVING),
    )
)


async def probe(dependency: Dependency, _seconds: float) -> str | None:
    """Connect, run the query and close the connection."""
    parameters = await _parameters(urlsplit(dependency.url).geturl())
    try:
        connection = await AsyncConnection.connect(**parameters, application_name="trust-otel-probe")
    except ConnectionTimeout:
        return errors.TIMEOUT
    except OperationalError as error:
        return next((name for pattern, name in _BY_TEXT if pattern.search(str(error))), errors.UNEXPECTED_ANSWER)
    try:
        return None if await _answers(connection.pgconn) else errors.UNEXPECTED_ANSWER
    finally:
        await connection.close()


async def _parameters(url: str) -> dict[str, Any]:
    """The parameters of a connection. A host with a dot at its end is resolved with it, and verified without it."""
    parameters: dict[str, Any] = conninfo_to_dict(url)
    hosts = str(parameters.get("host", "")).split(",")
    names = [tls.server_name(host) for host in hosts]
    if names == hosts or "hostaddr" in parameters:
        return parameters | {"host": ",".join(names)}
    ports = str(parameters.get("port", "")).split(",")
    targets = zip(names, hosts, ports if len(ports) > 1 else ports * len(hosts), strict=True)
    attempts = [(name, address, port) for name, host, port in targets for address in await _addresses(host)]
    return parameters | dict(zip(("host", "hostaddr", "port"), map(",".join, zip(*attempts, strict=True)), strict=True))


async def _addresses(host: str) -> list[str]:
    loop = asyncio.get_running_loop()
    return [str(found[4][0]) for found in await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


async def _answers(pgconn: PGconn) -> bool:
    # Not with a cursor: if it is cancelled, psycopg waits seconds for a server that does not respond.
    pgconn.send_query(b"SELECT 1")
    # One flush is enough: the query fits into the socket buffer.
    pgconn.flush()
    while pgconn.is_busy():
        await _readable(pgconn.socket)
        pgconn.consume_input()
    result = pgconn.get_result()
    return result is not None and result.status == ExecStatus.TUPLES_OK


async def _readable(number: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(number, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(number)
