"""A WSGI application without a framework."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/fail":
        raise RuntimeError("no item")
    start_response("200 OK" if path.startswith("/items/") else "404 Not Found", [("Content-Type", "text/plain")])
    return [path.encode()]
