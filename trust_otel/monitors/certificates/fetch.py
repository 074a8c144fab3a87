"""HTTP requests with limits on time and size."""

from __future__ import annotations

import base64
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPException
from time import monotonic
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from trust_otel.monitors.certificates.content import UnreadableError
from trust_otel.monitors.tls import server_name

TIMEOUT: Final = 5.0
"""Timeout in seconds of connecting and of each read."""

_MAX_SECONDS: Final = 10.0
_MAX_BYTES: Final = 10 * 1024 * 1024
_NOT_MODIFIED: Final = 304


class UnchangedError(UnreadableError):
    """The server responded with 304 Not Modified to a conditional request."""


def fetch(
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    context: ssl.SSLContext | None = None,
) -> tuple[bytes, Message]:
    """Send a GET, or a POST if there is a body, and return the body and the headers of the response.

    Uses the proxies of the environment.

    Raises:
        UnchangedError: The content has not changed.
        UnreadableError: The request failed, or the response is an error or too large.
    """
    try:
        request = _request(url, body, headers or {})
        with _opener(context).open(request, timeout=TIMEOUT) as response:
            return _bounded(response), response.headers
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _NOT_MODIFIED:
            raise UnchangedError("has not changed") from None
        raise UnreadableError(f"the server responded with HTTP status {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise UnreadableError(network_reason(error)) from None


def network_reason(error: Exception) -> str:
    """Why a connection failed, without the address and without data from the peer."""
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
    return f"the response is invalid ({type(error).__name__})"


def _request(url: str, body: bytes | None, headers: Mapping[str, str]) -> urllib.request.Request:
    parts = urlsplit(url)
    user_info, _, address = parts.netloc.rpartition("@")
    request = urllib.request.Request(urlunsplit(parts._replace(netloc=address)), body)  # noqa: S310
    if user_info:
        credentials = base64.b64encode(unquote(user_info).encode()).decode()
        headers = {**headers, "Authorization": f"Basic {credentials}"}
    for name, value in headers.items():
        # Credentials must not be sent to the target of a redirect.
        add = request.add_unredirected_header if name == "Authorization" else request.add_header
        add(name, value)
    return request


def _opener(context: ssl.SSLContext | None) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    # Only HTTP: the default opener also supports files and FTP.
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context or _default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


class _Context(ssl.SSLContext):
    """Sends and verifies the name of a server without the dot at its end, which `http.client` keeps."""

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        name = server_name(server_hostname) if isinstance(server_hostname, str) else server_hostname
        return super().wrap_socket(sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, name, session)


def _default_context() -> ssl.SSLContext:
    """As `ssl.create_default_context`, whose class cannot be chosen."""
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _bounded(response: object) -> bytes:
    deadline = monotonic() + _MAX_SECONDS
    read = bytearray()
    while chunk := response.read1(65536):  # type: ignore[attr-defined]
        read += chunk
        if len(read) > _MAX_BYTES:
            raise UnreadableError(f"the response has more than {_MAX_BYTES} bytes")
        if monotonic() > deadline:
            raise UnreadableError(f"the response takes longer than {_MAX_SECONDS:.0f} seconds")
    return bytes(read)
