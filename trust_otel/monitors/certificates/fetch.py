"""Asks a web server, with bounds on time and size."""

from __future__ import annotations

import base64
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPException
from time import monotonic
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from trust_otel.monitors.certificates.content import UnreadableError

TIMEOUT: Final = 5.0
"""Seconds that a connection, and each step on it, may take."""

_MOST_SECONDS: Final = 10.0
_MOST_BYTES: Final = 10 * 1024 * 1024
_NOT_MODIFIED: Final = 304


class UnchangedError(UnreadableError):
    """The server says that there is nothing newer than what the headers of the request name."""


def fetch(
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    context: ssl.SSLContext | None = None,
) -> tuple[bytes, Message]:
    """The body and the headers of an answer, by way of the environment's proxies; a body that is given is sent by POST.

    Raises:
        UnchangedError: There is nothing new.
        UnreadableError: There is no answer, or one that says no or is too long.
    """
    try:
        request = _request(url, body, headers or {})
        with _opener(context).open(request, timeout=TIMEOUT) as response:
            return _bounded(response), response.headers
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _NOT_MODIFIED:
            raise UnchangedError("is unchanged") from None
        raise UnreadableError(f"answers with the HTTP status {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise UnreadableError(network_reason(error)) from None


def network_reason(error: Exception) -> str:
    """Why a connection failed, without address or anything that the other side said."""
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        error = error.reason
    if isinstance(error, TimeoutError):
        return f"does not answer within {TIMEOUT:.0f} seconds"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its own certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"the TLS handshake failed: {error.reason}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"the answer is not understood ({type(error).__name__})"


def _request(url: str, body: bytes | None, headers: Mapping[str, str]) -> urllib.request.Request:
    parts = urlsplit(url)
    user_info, _, address = parts.netloc.rpartition("@")
    request = urllib.request.Request(urlunsplit(parts._replace(netloc=address)), body)  # noqa: S310
    if user_info:
        credentials = base64.b64encode(unquote(user_info).encode()).decode()
        headers = {**headers, "Authorization": f"Basic {credentials}"}
    for name, value in headers.items():
        # Whoever the server redirects to must not learn a secret.
        add = request.add_unredirected_header if name == "Authorization" else request.add_header
        add(name, value)
    return request


def _opener(context: ssl.SSLContext | None) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    # Only HTTP: the default opener also reads files and FTP.
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _bounded(response: object) -> bytes:
    deadline = monotonic() + _MOST_SECONDS
    read = bytearray()
    while chunk := response.read1(65536):  # type: ignore[attr-defined]
        read += chunk
        if len(read) > _MOST_BYTES:
            raise UnreadableError(f"answers with more than {_MOST_BYTES} bytes")
        if monotonic() > deadline:
            raise UnreadableError(f"does not end its answer within {_MOST_SECONDS:.0f} seconds")
    return bytes(read)
