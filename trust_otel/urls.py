"""What counts as a URL wherever a person writes one."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit


def parts_of(url: str, schemes: Collection[str] = ()) -> SplitResult | None:
    """The parts of a URL with a host, a port from 1 to 65535 if any, and one of the schemes if any are given.

    `None` for every other text.
    """
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable and (not schemes or parts.scheme in schemes) else None
