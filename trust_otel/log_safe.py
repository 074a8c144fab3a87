"""Text about an exception or a URL that is safe to log, because it contains no secret."""

from __future__ import annotations

import traceback
from pathlib import PurePath
from urllib.parse import urlsplit

_PATH_PARTS = 3


def error_location(error: BaseException) -> str:
    """Class of an exception and the line that raised it, without the message."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__qualname__
    path = "/".join(PurePath(frames[-1].filename).parts[-_PATH_PARTS:])
    return f"{type(error).__qualname__} at {path}:{frames[-1].lineno}"


def url_origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    # An @ after the host belongs to an unquoted password, and what looks like the host is a part of it.
    if not host or "@" in url.partition("//")[2].partition(parts.netloc)[2]:
        return "(not shown: not a valid URL, or it may contain a secret)"
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port else "")
