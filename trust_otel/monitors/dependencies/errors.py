"""Why a check failed: a few words that each say what to look at."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import Final

AUTHENTICATION: Final = "authentication"
CLIENT_MISSING: Final = "client_missing"
CONNECTION_REFUSED: Final = "connection_refused"
NAME_RESOLUTION: Final = "name_resolution"
NOT_SERVING: Final = "not_serving"
SEALED: Final = "sealed"
TIMEOUT: Final = "timeout"
TLS: Final = "tls"
UNEXPECTED_ANSWER: Final = "unexpected_answer"
UNINITIALIZED: Final = "uninitialized"
UNREACHABLE: Final = "unreachable"

_BY_CLASS: Final = (
    (ssl.SSLError, TLS),
    (socket.gaierror, NAME_RESOLUTION),
    (ConnectionRefusedError, CONNECTION_REFUSED),
    (TimeoutError, TIMEOUT),
)
_NO_ROUTE: Final = frozenset((errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN))


def error_type(error: BaseException) -> str:
    """Value of `error.type` for what a client library raised; never its text, which may hold credentials."""
    causes = tuple(_causes(error))
    for kind, name in _BY_CLASS:
        if any(isinstance(cause, kind) for cause in causes):
            return name
    if any(isinstance(cause, OSError) and cause.errno in _NO_ROUTE for cause in causes):
        return UNREACHABLE
    return UNEXPECTED_ANSWER


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        # An attempt at several addresses ends in a group with an error for each.
        for part in getattr(error, "exceptions", ()):
            yield from _causes(part)
        error = error.__cause__ or error.__context__
