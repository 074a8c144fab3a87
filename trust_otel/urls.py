"""Parses the URLs in settings and configuration files."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit


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
