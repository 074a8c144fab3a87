"""Which route of Starlette or FastAPI answers a request, whatever its class overrides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, cast
from weakref import WeakSet

from starlette.routing import BaseRoute, Host, Match, WebSocketRoute

from trust_otel.patches import Patches, imitates
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.self_metrics import DroppedMeasurements

Scope = MutableMapping[str, Any]
Handle = Callable[..., Awaitable[None]]


class RouteClasses:
    """Replaces `handle` in every class of route, also in classes that are defined later.

    Args:
        patches: Restores the replaced methods of the classes that exist now.
        wrap: Makes the replacement of the `handle` of a class.
        dropped: Counts classes whose method cannot be replaced.
    """

    def __init__(
        self, patches: Patches, wrap: Callable[[type[BaseRoute], Handle], Handle], dropped: DroppedMeasurements
    ) -> None:
        self._dropped = dropped
        self._patches = patches
        self._wrap = wrap
        # Weak, because a program may define classes without end.
        self._classes: WeakSet[type[BaseRoute]] = WeakSet()
        self._replacements: WeakSet[Any] = WeakSet()

    def replace(self) -> None:
        """Replace the method in the classes that exist, and in those to come."""
        for kind in _subclasses(BaseRoute):
            self._replace_in_existing(kind)
        defined = self._replace_later

        def __init_subclass__(kind: type[BaseRoute], /, **kwargs: Any) -> None:  # noqa: N807
            super(BaseRoute, kind).__init_subclass__(**kwargs)
            defined(kind)

        if "__init_subclass__" not in vars(BaseRoute):
            BaseRoute.__init_subclass__ = classmethod(__init_subclass__)  # type: ignore[assignment]

    def restore(self) -> None:
        """Restore what `patches` does not."""
        if "__init_subclass__" in vars(BaseRoute):
            del BaseRoute.__init_subclass__
        for kind in tuple(self._classes):
            replacement: Any = vars(kind).get("handle")
            if replacement in self._replacements:
                if getattr(super(kind, kind), "handle", None) is replacement.__wrapped__:
                    del kind.handle
                else:
                    kind.handle = replacement.__wrapped__  # type: ignore[method-assign]
        self._classes.clear()

    @fail_open
    def _replace_in_existing(self, kind: type[BaseRoute]) -> None:
        if "handle" not in vars(kind):
            self._replace_later(kind)
        elif self._needed(kind):
            self._patches.replace(kind, "handle", partial(self._wrap, kind))
            self._replacements.add(vars(kind)["handle"])

    @fail_open
    def _replace_later(self, kind: type[BaseRoute]) -> None:
        """Replace the method without keeping the class; it may come from a class that is no route."""
        if self._needed(kind):
            handle: Any = kind.handle
            replacement: Any = imitates(handle)(self._wrap(kind, handle))
            self._replacements.add(replacement)
            self._classes.add(kind)
            kind.handle = replacement  # type: ignore[method-assign]

    def _needed(self, kind: type[BaseRoute]) -> bool:
        handle = getattr(kind, "handle", None)
        # Other callables keep their behaviour: `unseen_route` finds their routes.
        method = iscoroutinefunction(handle) and not isinstance(vars(kind).get("handle"), (staticmethod, classmethod))
        return method and _answers(kind) and handle is not BaseRoute.handle and handle not in self._replacements


def template(route: Any, scope: Scope) -> str | None:
    """The path template of a route; `None` if it has none, as a host.

    FastAPI (0.165) stores the full path of a route in an included router in an undocumented part of the scope; without
    it, the template lacks the prefix of `include_router`.
    """
    context = scope.get("fastapi", {}).get("effective_route_context")
    if context is not None and route is context.original_route and context.path:
        return str(context.path)
    path = getattr(route, "path", None)
    return None if path is None else str(path)


def frontend_template(scope: Scope) -> str:
    """The path template of the files that FastAPI's `frontend` serves, whose paths have no parameters."""
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path.removesuffix(scope["fastapi"]["frontend_path"]).rstrip("/") + "/{path}"


def is_frontend(kind: type[BaseRoute]) -> bool:
    """Whether it is a class of FastAPI for `frontend`, of which the route is known only from the scope."""
    return kind.__module__ == "fastapi.routing" and "Frontend" in kind.__name__


def unseen_route(router: Any, scope: Scope) -> object | None:
    """The route that answered although no replaced method was called; `None` if none did.

    It is not derived from Starlette's class of routes, or has a `handle` of its own that is no method of its class.
    """
    matched: object | None = scope.get("route")  # not in all versions
    if matched is not None:
        return matched
    endpoint = scope.get("endpoint")
    routes: Iterable[object] = getattr(router, "routes", ())
    for route in routes:
        if isinstance(route, BaseRoute):
            if endpoint is not None and getattr(route, "endpoint", None) is endpoint:
                return route
        elif cast(Any, route).matches(scope)[0] is not Match.NONE:
            return route
    return None


def wrapped_route(route: object) -> object:
    """The route that another object wraps."""
    if hasattr(route, "path"):
        return route
    return next((part for part in vars(route).values() if isinstance(part, BaseRoute)), route)


def _answers(kind: type[BaseRoute]) -> bool:
    """Whether a class answers HTTP requests, and not only by routes in it that have a path of their own."""
    return not (issubclass(kind, (Host, WebSocketRoute)) or kind.__name__ == "_IncludedRouter")


def _subclasses(kind: type[BaseRoute]) -> Iterator[type[BaseRoute]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
