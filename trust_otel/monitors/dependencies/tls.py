"""Which certificate authorities a probe trusts: those of the system, or of SSL_CERT_FILE and SSL_CERT_DIR."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache


def context(protocol: str) -> ssl.SSLContext:
    """The context for connections of one protocol; made anew when the file of the authorities was replaced."""
    path = authorities()
    return _context(protocol, path, None if path is None else os.stat(path).st_mtime_ns)


def authorities() -> str | None:
    """The file of the authorities, `None` where the system has but a directory."""
    return ssl.get_default_verify_paths().cafile


@lru_cache(maxsize=4)
def _context(_protocol: str, _path: str | None, _changed: int | None) -> ssl.SSLContext:
    # Clients set a context's ALPN, so that protocols cannot share one.
    return ssl.create_default_context()
