"""Revocation lists that a web server offers."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import urlsplit

from trust_otel.monitors.certificates.content import Content, Item
from trust_otel.monitors.certificates.fetch import UnchangedError, fetch
from trust_otel.monitors.certificates.formats import parse
from trust_otel.monitors.certificates.names import without_suffix

_VALIDATORS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}


class DownloadedList:
    """A revocation list at a URL; it is only sent again when the server has a newer one.

    Args:
        url: Where it is, beginning with http.
        name: Its name; by default that of its file, or else the host's.
    """

    def __init__(self, url: str, name: str | None) -> None:
        parts = urlsplit(url)
        self._url = url
        self._name = name or without_suffix(PurePosixPath(parts.path).name) or parts.hostname or ""
        self._content = Content()
        self._validators: dict[str, str] = {}

    def read(self) -> list[Item]:
        """The list as it is now."""
        try:
            body, headers = fetch(self._url, headers=self._validators)
        except UnchangedError:
            return [Item("", self._name, self._content)]
        content = parse(body)
        if not content.lists:
            return [Item("", self._name, Content(problem=content.problem or "answers with no revocation list"))]
        self._content = Content(lists=content.lists)
        self._validators = {
            asked: value for given, asked in _VALIDATORS.items() if (value := headers.get(given)) is not None
        }
        return [Item("", self._name, self._content)]
