"""Probe of Redis and compatible servers: `PING`, after `AUTH` and `SELECT` if the URL contains them.

Implements the Redis serialization protocol (RESP2), because importing redis-py takes a third of a second of CPU time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from trust_otel.monitors import tls
from trust_otel.monitors.dependencies import errors
from trust_otel.setting_lists import Dependency

_PORT: Final = 6379
_MAX_LINE: Final = 4096

_BY_CODE: Final = {
    b"-NOAUTH": errors.AUTHENTICATION,
    b"-WRONGPASS": errors.AUTHENTICATION,
    b"-NOPERM": errors.AUTHENTICATION,
    b"-DENIED": errors.AUTHENTICATION,  # protected mode
    b"-LOADING": errors.NOT_SERVING,
    b"-BUSY": errors.NOT_SERVING,
    b"-MASTERDOWN": errors.NOT_SERVING,
}


async def probe(dependency: Dependency, _seconds: float) -> str | None:
    """Connect, send the commands and close the connection."""
    parts = urlsplit(dependency.url)
    host = parts.hostname or ""
    context, name = (tls.context("redis"), tls.server_name(host)) if parts.scheme == "rediss" else (None, None)
    reader, writer = await asyncio.open_connection(
        host, parts.port or _PORT, ssl=context, server_hostname=name, limit=_MAX_LINE
    )
    try:
        for command, expected in _commands(parts):
            writer.write(_encoded(command))
            answer = await reader.readline()
            if answer != expected:
                return _error_type(command[0], answer)
        return None
    finally:
        writer.transport.abort()


def _commands(parts: SplitResult) -> Iterator[tuple[tuple[str, ...], bytes]]:
    if parts.password:
        user = (unquote(parts.username),) if parts.username else ()
        yield ("AUTH", *user, unquote(parts.password)), b"+OK\r\n"
    if parts.path.strip("/"):
        yield ("SELECT", parts.path.strip("/")), b"+OK\r\n"
    yield ("PING",), b"+PONG\r\n"


def _encoded(command: tuple[str, ...]) -> bytes:
    words = [word.encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _error_type(command: str, answer: bytes) -> str:
    code = answer.split(b" ", 1)[0].rstrip()
    if b"max number of clients" in answer:
        return errors.NOT_SERVING
    if command == "AUTH" and code == b"-ERR":
        return errors.AUTHENTICATION
    return _BY_CODE.get(code, errors.UNEXPECTED_ANSWER)
