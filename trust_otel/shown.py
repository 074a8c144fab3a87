"""What may be shown of an exception or an address that could quote a secret."""

from __future__ import annotations

import traceback
from pathlib import PurePath
from urllib.parse import urlsplit

_SHOWN_PARTS = 3


def place_of(error: BaseException) -> str:
    """Class of an exception and where it was raised, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__qualname__
    path = "/".join(PurePath(frames[-1].filename).parts[-_SHOWN_PARTS:])
    return f"{type(error).__qualname__} at {path}:{frames[-1].lineno}"


def address_of(url: str) -> str:
    """Scheme, host and port of a URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    # An @ behind the host belongs to a password that was not quoted: the host is then a part of it.
    if not host or "@" in url.partition("//")[2].partition(parts.netloc)[2]:
        return "(an address that is not shown, since it may hold a secret)"
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port else "")
