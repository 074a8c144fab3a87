"""Unique names for labels."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final
from urllib.parse import urlsplit

_SUFFIXES: Final = frozenset(
    f".{suffix}" for suffix in ("pem", "crt", "cer", "cert", "der", "p12", "pfx", "p7b", "p7c", "p7", "crl")
)


class Names:
    """Makes names unique by appending `#2`, `#3`, ...

    Args:
        length: Maximum number of characters of a name.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._used: set[str] = set()

    def unique(self, wanted: str) -> str:
        """The unique name. A long name is cut at the start, because the end of a path is more specific."""
        # Cleaned here: otherwise the label would be changed, and counted as dropped, at every collection.
        clean = "_".join(printable(wanted).split())
        name, number = clean[-self._length :], 1
        while name in self._used:
            number += 1
            suffix = f"#{number}"
            name = clean[-self._length + len(suffix) :] + suffix
        self._used.add(name)
        return name


def printable(text: str) -> str:
    """The text with a replacement character for each non-printable one, as in file names that are not UTF-8."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def without_suffix(path: str) -> str:
    """A path without the suffix of a certificate file. Other dots, as in domains, are kept."""
    suffix = PurePath(path).suffix
    return path[: -len(suffix)] if suffix.lower() in _SUFFIXES else path


def numbered(name: str, position: int) -> str:
    """The name of a certificate at a position, starting at 0, within one source."""
    return name if position == 0 else f"{name}#{position + 1}"


def host_and_port(url: str, default_port: int) -> tuple[str, int]:
    """Host and port of a URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or default_port


def shown_address(host: str, port: int) -> str:
    """`host:port`, with brackets around IPv6 addresses."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def shown_location(location: str) -> str:
    """An unchanged path, or a URL without credentials and query; URLs of TLS servers also without path."""
    if "://" not in location:
        return location
    parts = urlsplit(location)
    path = "" if parts.scheme in ("https", "tls", "tls+postgres") else parts.path
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"
