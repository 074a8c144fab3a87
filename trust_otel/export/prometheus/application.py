"""Answers the requests to the endpoint; a WSGI application (PEP 3333)."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Set
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from trust_otel.export.prometheus.exposition import Format
from trust_otel.export.prometheus.negotiation import accepts_gzip, chosen_format
from trust_otel.export.prometheus.page import warn_once
from trust_otel.log_safe import error_location

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from trust_otel.export.prometheus.web_config import WebConfig

_Answer = tuple[str, list[tuple[str, str]], bytes]

Scrape = Callable[[Format, Set[str]], bytes]
"""Returns the metrics with these names, or all of them, in UTF-8."""

_PATH: Final = "/metrics"
_HINT: Final = f'<!DOCTYPE html><title>trust-otel</title><p><a href="{_PATH}">Metrics</a></p>\n'

# The default takes four times as long and saves little: a page shrinks to 1.1 instead of 1.7 %.
_GZIP_LEVEL: Final = 1


class Application:
    """The endpoint: metrics at `/metrics`, and a page with a link to them at `/`.

    Args:
        scrape: Returns the metrics.
        web_config: Users and headers.
    """

    def __init__(self, scrape: Scrape, web_config: WebConfig | None = None) -> None:
        self._scrape = scrape
        self._web_config = web_config

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        status, headers, body = self._answer(environ)
        headers.append(("Content-Length", str(len(body))))
        if self._web_config:
            headers += self._web_config.headers
        start_response(status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _answer(self, environ: WSGIEnvironment) -> _Answer:
        if self._web_config and not self._web_config.authorizes(environ.get("HTTP_AUTHORIZATION", "")):
            return _plain("401 Unauthorized", "Log in.", ("WWW-Authenticate", 'Basic realm="metrics", charset="UTF-8"'))
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _plain("405 Method Not Allowed", "Use GET or HEAD.", ("Allow", "GET, HEAD"))
        path = environ.get("PATH_INFO", "")
        if path == "/":
            return "200 OK", [("Content-Type", "text/html; charset=utf-8")], _HINT.encode()
        if path != _PATH:
            return _plain("404 Not Found", f"The metrics are at {_PATH}.")
        try:
            return self._metrics(environ)
        except Exception as error:
            warn_once(f"metrics could not be collected for the endpoint: {error_location(error)}")
            return _plain(
                "500 Internal Server Error", "The metrics could not be collected; see the log of the service."
            )

    def _metrics(self, environ: WSGIEnvironment) -> _Answer:
        format_ = chosen_format(environ.get("HTTP_ACCEPT", ""))
        names = frozenset(parse_qs(environ.get("QUERY_STRING", "")).get("name[]", ()))
        body = self._scrape(format_, names)
        headers = [("Content-Type", format_.content_type), ("Vary", "Accept, Accept-Encoding")]
        if accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            headers.append(("Content-Encoding", "gzip"))
            body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        return "200 OK", headers, body


def _plain(status: str, text: str, *headers: tuple[str, str]) -> _Answer:
    return status, [*headers, ("Content-Type", "text/plain; charset=utf-8")], f"{text}\n".encode()
