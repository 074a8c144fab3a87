"""TLS of clients: contexts that trust the CA certificates of the system, or of SSL_CERT_FILE and SSL_CERT_DIR."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache


def server_name(host: str) -> str:
    """The name of a host in SNI and in its certificate: without the dot at its end (RFC 6066, section 3)."""
    return host.removesuffix(".")


def context(protocol: str) -> ssl.SSLContext:
    """The context for a protocol. Created again if the CA file has changed."""
    path = ca_file()
    return _context(protocol, path, None if path is None else os.stat(path).st_mtime_ns)


def ca_file() -> str | None:
    """The CA file, or `None` if the system has only a directory."""
    return ssl.get_default_verify_paths().cafile


@lru_cache(maxsize=4)
def _context(_protocol: str, _path: str | None, _mtime: int | None) -> ssl.SSLContext:
    # Clients set the ALPN of a context, so protocols cannot share one.
    return ssl.create_default_context()
