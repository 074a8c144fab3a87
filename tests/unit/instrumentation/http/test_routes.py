"""`http.route` is the template, whatever the route overrides and wherever it was added."""

import gc
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Host, Match, Mount, Route, Router, WebSocketRoute

from trust_otel.instrumentation.http import HttpInstrumentor

DURATION = "http.server.request.duration"


def _sync(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def _async(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def _application(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("ok")(scope, receive, send)


class _OwnHandle(Route):
    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class _Inherits(_OwnHandle):
    """Has its `handle` from a class that overrides it."""


class _Mixin:
    async def handle(self: Any, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class _Mixed(_Mixin, Route):
    """Has its `handle` from a class that is no route."""


class _NoCoroutine(Route):
    def handle(self, scope: Any, receive: Any, send: Any) -> Any:
        return self.app(scope, receive, send)


class _StaticHandle(Route):
    @staticmethod
    async def handle(scope: Any, receive: Any, send: Any) -> None:
        await _application(scope, receive, send)


class _OwnMatches(Route):
    def matches(self, scope: Any) -> Any:
        return (Match.FULL, {}) if scope["path"].startswith("/own/") else (Match.NONE, {})


class _OwnBoth(_OwnMatches):
    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class _OwnKind(BaseRoute):
    def __init__(self, path: str, _endpoint: Any) -> None:
        self.path = path

    matches = _OwnMatches.matches

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await _application(scope, receive, send)


class _NotDerived:
    """Looks like a route to a router."""

    def __init__(self, path: str, _endpoint: Any) -> None:
        self.path = path

    matches = _OwnMatches.matches
    handle = _OwnKind.handle


class _Delegates:
    """Wraps a route, and calls its methods."""

    def __init__(self, path: str, endpoint: Any) -> None:
        self.route = Route(path, endpoint)

    def matches(self, scope: Any) -> Any:
        return self.route.matches(scope)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await self.route.handle(scope, receive, send)


class _Bypasses(_Delegates):
    """Wraps a route, and calls its application without the route's `handle`."""

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await self.route.app(scope, receive, send)


class _Proxy(_Bypasses):
    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["route"], name)


def _instance_handle(path: str, endpoint: Any) -> Route:
    route = Route(path, endpoint)

    async def handle(scope: Any, receive: Any, send: Any) -> None:
        await route.app(scope, receive, send)

    route.handle = handle  # type: ignore[method-assign]
    return route


def _defined_now(path: str, endpoint: Any) -> Route:
    class Late(Route):
        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)

    return Late(path, endpoint)


class _CopiesScope:
    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(dict(scope), receive, send)


_KINDS: tuple[Callable[[str, Any], Any], ...] = (
    Route,
    _OwnHandle,
    _Inherits,
    _Mixed,
    _NoCoroutine,
    _StaticHandle,
    _OwnMatches,
    _OwnBoth,
    _OwnKind,
    _NotDerived,
    _Delegates,
    _Bypasses,
    _Proxy,
    _instance_handle,
    _defined_now,
)

every_kind = pytest.mark.parametrize("kind", _KINDS)
both_frameworks = pytest.mark.parametrize("framework", [Starlette, FastAPI])


async def _route(recording: Any, call: Any, application: Any, path: str, status: int = 200, method: str = "GET") -> Any:
    """The route of one request, which is recorded once."""
    done = await call(application, path=path, method=method)
    assert [message["status"] for message in done.sent if "status" in message] == [status]
    ((labels, point),) = recording.series(DURATION)
    assert point.count == 1
    assert recording.dropped() == {}
    return labels.get("http.route")


@every_kind
@both_frameworks
@pytest.mark.parametrize("endpoint", [_sync, _async])
async def test_kinds_of_routes(instrumented: Any, call: Any, framework: Any, kind: Any, endpoint: Any) -> None:
    app = framework(routes=[kind("/own/{x}", endpoint)])
    assert await _route(instrumented, call, app, "/own/1") == "/own/{x}"


@every_kind
@both_frameworks
async def test_middleware_that_copies_the_scope(instrumented: Any, call: Any, framework: Any, kind: Any) -> None:
    app = framework(routes=[kind("/own/{x}", _async)], middleware=[Middleware(_CopiesScope)])
    assert await _route(instrumented, call, app, "/own/1") == "/own/{x}"


@every_kind
@both_frameworks
async def test_route_that_is_added_while_the_application_runs(
    instrumented: Any, call: Any, framework: Any, kind: Any
) -> None:
    app = framework()
    assert await _route(instrumented, call, app, "/own/1", 404) is None
    app.router.routes.append(kind("/own/{x}", _async))
    await call(app, path="/own/1")
    assert instrumented.value(DURATION, {"http.route": "/own/{x}", "http.response.status_code": 200}) == 1


class _OwnMount(Mount):
    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class _CallsBase(Mount):
    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await super().handle(scope, receive, send)


@both_frameworks
@pytest.mark.parametrize("mount", [Mount, _OwnMount, _CallsBase])
@pytest.mark.parametrize("kind", [Route, _OwnHandle, _OwnMatches])
async def test_kinds_of_mounts(instrumented: Any, call: Any, framework: Any, mount: Any, kind: Any) -> None:
    inner = mount("/v1/{version}", routes=[Route("/other", _async), kind("/own/{x}", _async)])
    app = framework(routes=[mount("/tenants/{tenant}", routes=[inner])])
    path = "/tenants/1/v1/2/own/3"
    if kind is not _OwnMatches:
        assert await _route(instrumented, call, app, path) == "/tenants/{tenant}/v1/{version}/own/{x}"
    else:
        assert await _route(instrumented, call, app, path, 404) == "/tenants/{tenant}/v1/{version}/{path}"


async def test_mount_that_contains_itself(instrumented: Any, call: Any) -> None:
    router = Router([Route("/own", _async)])
    mount = Mount("/again", app=router)
    router.routes.append(mount)
    assert await _route(instrumented, call, Starlette(routes=[mount]), "/again/again/own") == "/again/again/own"


async def test_route_whose_endpoint_is_a_route(instrumented: Any, call: Any) -> None:
    app = Starlette(routes=[Route("/own/{x}", Route("/own/{y}", _async))])
    assert await _route(instrumented, call, app, "/own/1") == "/own/{y}"


class _OwnApp(APIRoute):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        app = self.app

        async def own(scope: Any, receive: Any, send: Any) -> None:
            await app(scope, receive, send)

        self.app = own


class _OwnRouteHandler(APIRoute):
    def get_route_handler(self) -> Any:
        handler = super().get_route_handler()

        async def own(request: Any) -> Any:
            return await handler(request)

        return own


class _ApiHandle(APIRoute):
    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class _ApiCallsBase(APIRoute):
    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await super().handle(scope, receive, send)


class _ApiMatches(APIRoute):
    def matches(self, scope: Any) -> Any:
        return super().matches(scope)


@pytest.mark.parametrize("route_class", [APIRoute, _OwnApp, _OwnRouteHandler, _ApiHandle, _ApiCallsBase, _ApiMatches])
@pytest.mark.parametrize("included", [0, 1, 2])
@pytest.mark.parametrize("sync", [True, False])
async def test_route_classes_of_fastapi(
    instrumented: Any, call: Any, route_class: type[APIRoute], included: int, sync: bool
) -> None:
    app = FastAPI()
    app.router.route_class = route_class
    router = APIRouter(route_class=route_class) if included else app.router

    def read(x: str) -> str:
        return x

    async def read_async(x: str) -> str:
        return x

    router.get("/own/{x}")(read if sync else read_async)
    expected = "/own/{x}"
    if included == 2:
        outer = APIRouter()
        outer.include_router(router, prefix="/b/{y}")
        router, expected = outer, "/b/{y}" + expected
    if included:
        app.include_router(router, prefix="/a")
        expected = "/a" + expected
    path = expected.replace("{x}", "1").replace("{y}", "2")
    assert await _route(instrumented, call, app, path) == expected


@pytest.mark.parametrize(
    ("routes", "path", "expected"),
    [
        ([Route("/own/{x}", _async)], "/pre/own/1", "/pre/own/{x}"),
        ([_OwnHandle("/own/{x}", _async)], "/pre/own/1", "/pre/own/{x}"),
        ([Mount("/own", routes=[Route("/{x}", _async)])], "/pre/own/1", "/pre/own/{x}"),
        ([_OwnMount("/own", routes=[Route("/{x}", _async)])], "/pre/own/1", "/pre/own/{x}"),
        ([Mount("/own", _application)], "/pre/own/1", "/pre/own/{path}"),
        ([Host("{host}", Router([Route("/own/{x}", _async)]))], "/pre/own/1", "/pre/own/{x}"),
    ],
)
async def test_routes_of_starlette_in_an_included_router(
    instrumented: Any, call: Any, routes: list[BaseRoute], path: str, expected: str
) -> None:
    app = FastAPI()
    app.include_router(APIRouter(routes=routes), prefix="/pre")
    done = await call(app, path=path, headers=[(b"host", b"test")])
    assert done.sent[0]["status"] == 200
    assert [labels["http.route"] for labels in instrumented.labels(DURATION)] == [expected]


async def test_same_route_directly_and_in_a_router(instrumented: Any, call: Any) -> None:
    """They are equal, and only one has a prefix."""
    app, router = FastAPI(), APIRouter()
    for place in (router, app):
        place.add_api_route("/own/{x}", lambda x: x)
    app.include_router(router, prefix="/pre")
    await call(app, path="/pre/own/1")
    await call(app, path="/own/1")
    assert [labels["http.route"] for labels in instrumented.labels(DURATION)] == ["/pre/own/{x}", "/own/{x}"]


@pytest.mark.skipif(not hasattr(FastAPI, "frontend"), reason="needs a newer version of FastAPI")
@pytest.mark.parametrize("included", [True, False])
@pytest.mark.parametrize("protected", [True, False])
async def test_frontend(instrumented: Any, call: Any, tmp_path: Path, included: bool, protected: bool) -> None:
    (tmp_path / "a.js").write_text("a")
    dependencies = [Depends(lambda: None)] if protected else []
    app, router = FastAPI(dependencies=dependencies), APIRouter(dependencies=dependencies)
    target: Any = router if included else app
    target.frontend("/own", directory=tmp_path)
    if included:
        app.include_router(router, prefix="/pre")
    prefix = "/pre" if included else ""
    assert await _route(instrumented, call, app, f"{prefix}/own/a.js") == f"{prefix}/own/{{path}}"


@pytest.mark.parametrize("kind", [Router, APIRouter])
@pytest.mark.parametrize(
    ("routes", "path", "expected"),
    [
        ([Route("/own/{x}", _async)], "/own/1", "/own/{x}"),
        ([_OwnHandle("/own/{x}", _sync)], "/own/1", "/own/{x}"),
        ([Mount("/own", app=Starlette(routes=[Route("/{x}", _async)]))], "/own/1", "/own/{x}"),
        ([Mount("/own", app=Router([Route("/{x}", _async)]))], "/own/1", "/own/{x}"),
    ],
)
async def test_router_is_an_application(
    instrumented: Any, call: Any, kind: Any, routes: list[Any], path: str, expected: str
) -> None:
    assert await _route(instrumented, call, kind(routes=routes), path) == expected


async def test_route_is_an_application(instrumented: Any, call: Any) -> None:
    assert await _route(instrumented, call, Route("/own/{x}", _async), "/own/1") == "/own/{x}"
    assert (await call(Route("/own/{x}", _async), path="/other")).sent[0]["status"] == 404
    assert instrumented.labels(DURATION)[1].get("http.route") is None


class _OwnRouter(Router):
    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        for route in self.routes:
            match, child = route.matches(scope)
            if match is Match.FULL:
                scope.update(child)
                await route.app(scope, receive, send)  # type: ignore[attr-defined]
                return
        await self.not_found(scope, receive, send)


async def test_router_that_calls_routes_in_its_own_way(instrumented: Any, call: Any) -> None:
    app = Starlette()
    app.router = _OwnRouter([Route("/other", _sync), Route("/own/{x}", _async)])
    assert await _route(instrumented, call, app, "/own/1") == "/own/{x}"


class _Endpoint(HTTPEndpoint):
    async def get(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")


@both_frameworks
@pytest.mark.parametrize(
    ("routes", "method", "status", "expected"),
    [
        ([Route("/own/{x}", _async)], "POST", 405, "/own/{x}"),
        ([_OwnMatches("/own/{x}", _async)], "POST", 405, "/own/{x}"),
        ([Route("/own/{x}", _Endpoint)], "POST", 405, "/own/{x}"),
        ([Route("/other", _async)], "GET", 404, None),
        ([WebSocketRoute("/own/{x}", _async)], "GET", 404, None),
        ([Route("/own/{x}/", _async)], "GET", 307, None),
    ],
)
async def test_answers_of_the_router(
    instrumented: Any, call: Any, framework: Any, routes: list[Any], method: str, status: int, expected: str | None
) -> None:
    assert await _route(instrumented, call, framework(routes=routes), "/own/1", status, method) == expected


@both_frameworks
async def test_default_handler_has_no_route(instrumented: Any, call: Any, framework: Any) -> None:
    app = framework(routes=[Route("/other", _async)])
    app.router.default = _application
    assert await _route(instrumented, call, app, "/own/1") is None


@both_frameworks
async def test_answer_above_the_router_has_no_route(instrumented: Any, call: Any, framework: Any) -> None:
    app = framework(routes=[_OwnHandle("/own/{x}", _async)], middleware=[Middleware(CORSMiddleware, allow_origins="*")])
    headers = [(b"origin", b"http://o"), (b"access-control-request-method", b"GET")]
    done = await call(app, path="/own/1", method="OPTIONS", headers=headers)
    assert done.sent[0]["status"] == 200
    assert "http.route" not in instrumented.labels(DURATION)[0]


class TestClasses:
    """Classes of routes are restored, and not kept."""

    def test_restored(self, recording: Any) -> None:
        kinds = (_OwnHandle, _Inherits, _Mixed, _NoCoroutine, _StaticHandle, _OwnKind, _OwnMount, _ApiHandle)
        before = [vars(kind).get("handle") for kind in kinds]
        HttpInstrumentor().instrument(metrics=recording.metrics)
        late = type(_defined_now("/", _async))
        replacement: Any = vars(late)["handle"]
        assert inspect.iscoroutinefunction(replacement)
        HttpInstrumentor().uninstrument()
        assert [vars(kind).get("handle") for kind in kinds] == before
        assert vars(late)["handle"] is replacement.__wrapped__
        assert "__init_subclass__" not in vars(BaseRoute)

    def test_not_kept(self, instrumented: Any) -> None:
        kept = ref(type(_defined_now("/", _async)))
        gc.collect()
        assert kept() is None

    async def test_class_that_refuses_attributes_works_as_before(self, instrumented: Any, call: Any) -> None:
        class Refuses(type):
            def __setattr__(cls, name: str, value: Any) -> None:
                raise AttributeError(name)

        async def handle(self: Any, scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)

        async def request() -> int:
            kind: Any = Refuses("Kind", (Route,), {"handle": handle})
            done = await call(Starlette(routes=[kind("/own/{x}", _async)]), path="/own/1")
            return int(done.sent[0]["status"])

        assert await request() == 200
        assert instrumented.dropped() == {"internal_error": 1}
        assert [labels["http.route"] for labels in instrumented.labels(DURATION)] == ["/own/{x}"]
        # Other tests count what is dropped when the classes that exist are replaced.
        gc.collect()
        assert "Kind" not in {kind.__name__ for kind in Route.__subclasses__()}

    def test_abstract_method_stays_abstract(self, instrumented: Any) -> None:
        class Abstract(BaseRoute, ABC):
            @abstractmethod
            async def handle(self, scope: Any, receive: Any, send: Any) -> None: ...

        class Concrete(Abstract):
            async def handle(self, scope: Any, receive: Any, send: Any) -> None: ...

        with pytest.raises(TypeError, match="abstract"):
            Abstract()  # type: ignore[abstract]
        Concrete()

    def test_wrong_arguments_of_a_class_fail_as_before(self, instrumented: Any) -> None:
        with pytest.raises(TypeError, match=r"__init_subclass__\(\) takes no keyword arguments"):
            type("Wrong", (Route,), {}, unheard_of=1)

    def test_base_class_of_its_own_is_called(self, instrumented: Any) -> None:
        defined: list[type] = []

        class Registers:
            def __init_subclass__(cls, **kwargs: Any) -> None:
                defined.append(cls)

        class Registered(Route, Registers):
            pass

        assert defined == [Registered]
