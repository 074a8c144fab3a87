"""Revocation lists at a URL."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import urlsplit

from trust_otel.monitors.certificates.content import Content, Item
from trust_otel.monitors.certificates.fetch import UnchangedError, fetch
from trust_otel.monitors.certificates.formats import parse
from trust_otel.monitors.certificates.names import without_suffix

_VALIDATORS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}


class CrlSource:
    """A revocation list at a URL. Downloads it only if it has changed (conditional requests, RFC 9110, section 13).

    Args:
        url: Its HTTP or HTTPS URL.
        name: Its name; by default the file name of the URL, or the host.
    """

    def __init__(self, url: str, name: str | None) -> None:
        parts = urlsplit(url)
        self._url = url
        self._name = name or without_suffix(PurePosixPath(parts.path).name) or parts.hostname or ""
        self._content = Content()
        self._validators: dict[str, str] = {}

    def read(self) -> list[Item]:
        """The current revocation list."""
        try:
            body, headers = fetch(self._url, headers=self._validators)
        except UnchangedError:
            return [Item("", self._name, self._content)]
        content = parse(body)
        if not content.crls:
            return [
                Item("", self._name, Content(problem=content.problem or "the response contains no revocation list"))
            ]
        self._content = Content(crls=content.crls)
        self._validators = {
            request: value for response, request in _VALIDATORS.items() if (value := headers.get(response)) is not None
        }
        return [Item("", self._name, self._content)]
