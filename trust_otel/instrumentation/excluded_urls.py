"""Which HTTP requests are not measured: OTEL_PYTHON_EXCLUDED_URLS and its variants, and disabled frameworks."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

from trust_otel.disabled_instrumentations import is_disabled
from trust_otel.metrics.request import Request, answering, stop_answering

Scope = MutableMapping[str, Any]
_Application = Callable[..., Awaitable[None]]

EXCLUDED: Final = "trust_otel.excluded"
"""Key of a scope whose request is not measured."""


class ExcludedUrls:
    """The patterns for one framework, as in OpenTelemetry: regular expressions that are searched in the URL.

    The URL is `scheme://host/path`, without the query. A client chooses the `Host` header: a pattern that it matches
    without the path excludes nothing, so that no client can hide its requests.

    Args:
        framework: `FASTAPI` or `STARLETTE`.
        environment: The environment variables.
    """

    def __init__(self, framework: str, environment: Mapping[str, str]) -> None:
        names = (f"OTEL_PYTHON_{which}EXCLUDED_URLS" for which in (f"{framework}_", "ASGI_", ""))
        text = next((environment[name] for name in names if name in environment), "")
        patterns = [entry.strip() for entry in text.split(",") if entry.strip()]
        self._search = re.compile("|".join(patterns)).search if patterns else None

    def __bool__(self) -> bool:
        return self._search is not None

    def __call__(self, scope: Scope) -> bool:
        """Whether the request or WebSocket of an ASGI scope is not measured. Never raises: FastAPI calls it too."""
        try:
            return self._search is not None and self._matches(self._search, scope)
        except Exception:  # a scope that is not as the specification of ASGI says
            return False

    @staticmethod
    def _matches(search: Callable[[str], object], scope: Scope) -> bool:
        scheme, path = scope.get("scheme", "http"), scope.get("path", "")
        host, port = scope.get("server") or ("0.0.0.0", 80)  # noqa: S104 - a text, as upstream
        if search(f"{scheme}://{host}{'' if port in (80, None) else f':{port}'}{path}"):
            return True
        sent = next((text for name, text in scope.get("headers", ()) if name == b"host"), None)
        if sent is None:
            return False
        origin = f"{scheme}://{sent.decode('latin-1')}"
        return search(origin + path) is not None and search(f"{origin}/") is None


class Exclusions:
    """Which requests of which applications are not measured. The outermost application of a request decides.

    Args:
        environment: The environment variables.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._fastapi_disabled = is_disabled("fastapi", environment)
        self._starlette_disabled = is_disabled("starlette", environment)
        self.fastapi_urls = ExcludedUrls("FASTAPI", environment)
        self._starlette_urls = ExcludedUrls("STARLETTE", environment)

    def __bool__(self) -> bool:
        disabled = self._fastapi_disabled or self._starlette_disabled
        return disabled or bool(self.fastapi_urls) or bool(self._starlette_urls)

    def disables(self, application: object) -> bool:
        """Whether the instrumentation of the application's framework is disabled."""
        return self._fastapi_disabled if _is_fastapi(application) else self._starlette_disabled

    def excludes(self, application: object, scope: Scope) -> bool:
        """Whether the URL of a request is excluded."""
        return (self.fastapi_urls if _is_fastapi(application) else self._starlette_urls)(scope)

    def excluding(self, measured: str) -> Callable[[_Application], _Application]:
        """What replaces `__call__` of applications, outside of what measures them.

        Args:
            measured: Key of a scope whose request is measured already.
        """

        def wrap(original: _Application) -> _Application:
            async def __call__(self_: object, scope: Scope, receive: Any, send: Any) -> None:  # noqa: N807
                unmeasured = self._unmeasured(self_, scope, measured)
                if unmeasured is None:
                    return await original(self_, scope, receive, send)
                token = answering.set(unmeasured)
                try:
                    return await original(self_, scope, receive, send)
                finally:
                    stop_answering(token)
                    unmeasured.ended = True
                    scope.pop(EXCLUDED, None)

            return __call__

        return wrap

    def _unmeasured(self, application: object, scope: Scope, measured: str) -> Request | None:
        """Mark a request as one that is not measured; `None` for others, and for what is not the outermost call."""
        try:
            if scope["type"] != "http" or measured in scope or EXCLUDED in scope:
                return None
            disabled = self.disables(application)
            if not disabled and not self.excludes(application, scope):
                return None
            scope[EXCLUDED] = True
        except Exception:  # a scope that is not as the specification of ASGI says
            return None
        request = Request()
        # A decorator in code records what a disabled instrumentation does not, but no request that is excluded.
        request.ended = disabled
        return request


def _is_fastapi(application: object) -> bool:
    return any(kind.__module__ == "fastapi.applications" for kind in type(application).__mro__)
