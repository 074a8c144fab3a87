"""Probe of PostgreSQL: a new connection and `SELECT 1`."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from psycopg import AsyncConnection, OperationalError
from psycopg.errors import ConnectionTimeout
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn

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
    try:
        connection = await AsyncConnection.connect(dependency.url, application_name="trust-otel-probe")
    except ConnectionTimeout:
        return errors.TIMEOUT
    except OperationalError as error:
        return next((name for pattern, name in _BY_TEXT if pattern.search(str(error))), errors.UNEXPECTED_ANSWER)
    try:
        return None if await _answers(connection.pgconn) else errors.UNEXPECTED_ANSWER
    finally:
        await connection.close()


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
