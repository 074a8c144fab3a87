"""Parses the URLs in settings and configuration files."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import SplitResult, urlsplit

_DEVIATIONS: Final = frozenset("\u00df\u1e9e\u03c2\u200c\u200d")
"""Characters whose A-label differs between IDNA 2003, which Python implements, and IDNA 2008 (UTS #46, section 7.2)."""


def parse_url(url: str, schemes: Collection[str] = ()) -> SplitResult | None:
    """Parse a URL; `None` if it has no host, an invalid port (1 to 65535), or another scheme than `schemes`.

    Without `schemes`, any scheme is valid.
    """
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable and (not schemes or parts.scheme in schemes) else None


def with_ascii_host(parts: SplitResult) -> SplitResult | None:
    """A URL whose host has A-labels (RFC 5890); `None` if the host is invalid, or differs between versions of IDNA."""
    host = parts.hostname or ""
    if host.isascii():
        return parts
    if _DEVIATIONS & set(host):
        return None
    try:
        encoded = host.encode("idna").decode()
    except UnicodeError:
        return None
    user, at, address = parts.netloc.rpartition("@")
    _, colon, port = address.partition(":")
    return parts._replace(netloc=f"{user}{at}{encoded}{colon}{port}")
