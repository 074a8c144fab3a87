"""The request among the arguments of a handler, whatever the framework."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

from trust_otel.semconv.attributes import HTTP_REQUEST_METHOD

# Where frameworks keep the template of the route: Flask and Quart, Django, aiohttp, Falcon, Bottle, Pyramid.
_TEMPLATES: Final = (
    ("url_rule", "rule"),
    ("resolver_match", "route"),
    ("match_info", "route", "resource", "canonical"),
    ("uri_template",),
    ("route", "rule"),
    ("matched_route", "pattern"),
)

# They have the request in a context variable.
_WITH_CURRENT_REQUEST: Final = ("flask", "quart")


class RequestObject(NamedTuple):
    """What is known about a request.

    Attributes:
        method: Its method, `_OTHER` when it is not known.
        route: Template of its route, when it is known.
        scheme: Scheme of its URL.
        protocol_version: Version of HTTP, when it is known.
        headers: A mapping of its headers, or an object with `get`, when it is known.
    """

    method: str = HTTP_REQUEST_METHOD.other
    route: str | None = None
    scheme: str = "http"
    protocol_version: str | None = None
    headers: Any = None

    def header(self, name: str) -> str | None:
        """The value of a header."""
        for written in (name, name.lower()):
            with suppress(Exception):  # another kind of object
                value = self.headers.get(written)
                if isinstance(value, str):
                    return value
        return None


_UNKNOWN: Final = RequestObject()


def request_among(arguments: Iterable[Any]) -> RequestObject:
    """What the arguments say about the request: a request of any framework, or a gRPC context.

    Without any, it is the current request of Flask or Quart.
    """
    found: RequestObject | None = None
    try:
        for argument in arguments:
            request = _request(argument)
            # Something else than a request may have a method or headers, too.
            if request is not None and request.method in HTTP_REQUEST_METHOD.members:
                return request
            found = found or request
        return found or _current() or _UNKNOWN
    except Exception:  # an object that only looks like a request
        return found or _UNKNOWN


def _request(argument: Any) -> RequestObject | None:
    method, headers = attribute(argument, "method"), attribute(argument, "headers")
    if isinstance(method, str) or headers is not None:
        scope = attribute(argument, "scope")
        in_scope = scope if isinstance(scope, Mapping) else {}
        return RequestObject(
            method if isinstance(method, str) else HTTP_REQUEST_METHOD.other,
            _template_in_scope(in_scope) if in_scope else _template(argument),
            _text(in_scope.get("scheme")) or _text(attribute(argument, "scheme")) or "http",
            _text(in_scope.get("http_version")),
            headers,
        )
    if callable(attribute(argument, "invocation_metadata")):
        # A gRPC call is always a POST: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
        return RequestObject("POST", protocol_version="2")
    return None


def _template_in_scope(scope: Mapping[str, Any]) -> str | None:
    """The template that Starlette or FastAPI stores; the prefix of an included router is in another part."""
    included = scope.get("fastapi")
    context = included.get("effective_route_context") if isinstance(included, Mapping) else None
    return _text(attribute(context, "path")) or _text(attribute(scope.get("route"), "path"))


def _template(request: Any) -> str | None:
    for path in _TEMPLATES:
        found = request
        for name in path:
            found = attribute(found, name)
            if found is None:
                break
        if isinstance(found, str):
            return found
    return None


def _current() -> RequestObject | None:
    for name in _WITH_CURRENT_REQUEST:
        framework: Any = sys.modules.get(name)
        if framework is not None and framework.has_request_context():
            return _request(framework.request)
    return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def attribute(thing: object, name: str) -> Any:
    """An attribute, or `None` if it cannot be read, as a lazy column without its session."""
    try:
        return getattr(thing, name, None)
    except Exception:
        return None
