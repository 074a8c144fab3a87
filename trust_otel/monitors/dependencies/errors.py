"""Error types of failed checks, and the mapping from exceptions."""

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
    """The `error.type` of an exception of a client library, without its message, which may contain credentials."""
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
        # Connecting to several addresses raises a group with one error per address.
        for part in getattr(error, "exceptions", ()):
            yield from _causes(part)
        error = error.__cause__ or error.__context__
