"""Names for labels: clean, short and each given once."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final
from urllib.parse import urlsplit

_SUFFIXES: Final = frozenset(
    f".{suffix}" for suffix in ("pem", "crt", "cer", "cert", "der", "p12", "pfx", "p7b", "p7c", "p7", "crl")
)


class Names:
    """Gives every name once; to the second of a kind it adds `#2`.

    Args:
        length: Most characters of a name.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._given: set[str] = set()

    def unique(self, wanted: str) -> str:
        """The name to use, cut at its begin, because the end of a path says most."""
        # Cleaned here, since the label would count what it has to mend at every collection; it takes blanks for prose.
        clean = "_".join(printable(wanted).split())
        name, number = clean[-self._length :], 1
        while name in self._given:
            number += 1
            suffix = f"#{number}"
            name = clean[-self._length + len(suffix) :] + suffix
        self._given.add(name)
        return name


def printable(text: str) -> str:
    """The text without what breaks a log or a label, such as a file's name that is no UTF-8."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def without_suffix(path: str) -> str:
    """A path without the suffix of a certificate's file; other dots, as of a domain, stay."""
    suffix = PurePath(path).suffix
    return path[: -len(suffix)] if suffix.lower() in _SUFFIXES else path


def numbered(name: str, position: int) -> str:
    """The name of a certificate at this position, from 0 on, of those that stand together."""
    return name if position == 0 else f"{name}#{position + 1}"


def host_and_port(url: str, default_port: int) -> tuple[str, int]:
    """Where a URL leads."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or default_port


def shown_address(host: str, port: int) -> str:
    """An address as people write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def shown_location(location: str) -> str:
    """A path as it is; a URL without credentials and query, and that of a TLS server without its path."""
    if "://" not in location:
        return location
    parts = urlsplit(location)
    path = "" if parts.scheme in ("https", "tls", "tls+postgres") else parts.path
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"
