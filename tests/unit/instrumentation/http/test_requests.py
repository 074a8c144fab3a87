"""HTTP metrics of real FastAPI and Starlette applications."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.testclient import TestClient
from opentelemetry import metrics as otel_metrics
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from trust_otel.instrumentation.http import HttpInstrumentor

DURATION = "http.server.request.duration"
ACTIVE = "http.server.active_requests"
DETECTOR = "trust.security.detector.enabled"
REQUEST_SIZE = "http.server.request.body.size"
RESPONSE_SIZE = "http.server.response.body.size"

Client = Callable[[Any], Any]


@pytest.fixture
def sized(record: Callable[..., Any]) -> Iterator[Any]:
    """Like `instrumented`, with the sizes of bodies."""
    recording = record(http_body_sizes=True)
    HttpInstrumentor().instrument(metrics=recording.metrics)
    yield recording
    HttpInstrumentor().uninstrument()
    assert recording.dropped() == {}


async def _ok(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def _only(recording: Any, name: str = DURATION) -> dict[str, Any]:
    ((labels, point),) = recording.series(name)
    assert point.count == 1
    return labels


class TestRoutes:
    """`http.route` is the path template with mounts and prefixes, or absent."""

    async def _routes(self, recording: Any, client: Client, application: Any, *paths: str) -> list[Any]:
        async with client(application) as session:
            for path in paths:
                await session.get(path)
        assert recording.value(DURATION) == len(paths)
        return [labels.get("http.route") for labels in recording.labels(DURATION)]

    async def test_route_of_fastapi(self, instrumented: Any, client: Client) -> None:
        app = FastAPI()

        @app.get("/documents/{document_id}")
        async def read(document_id: int) -> int:
            return document_id

        assert await self._routes(instrumented, client, app, "/documents/1", "/documents/2") == [
            "/documents/{document_id}"
        ]
        assert instrumented.labels(DURATION) == [
            {
                "http.request.method": "GET",
                "url.scheme": "http",
                "http.route": "/documents/{document_id}",
                "http.response.status_code": 200,
                "network.protocol.version": "1.1",
            }
        ]
        assert instrumented.labels(ACTIVE) == [{"http.request.method": "GET", "url.scheme": "http"}]
        assert instrumented.dropped() == {}

    async def test_included_routers_within_routers(self, instrumented: Any, client: Client) -> None:
        inner, outer = APIRouter(prefix="/inner/{b}"), APIRouter()

        @inner.get("/leaf/{c}")
        async def leaf(a: str, b: str, c: str) -> str:
            return a + b + c

        @outer.get("/own")
        async def own() -> None: ...

        outer.include_router(inner, prefix="/between")
        app = FastAPI()
        app.include_router(outer, prefix="/outer/{a}")
        app.include_router(inner, prefix="/again/{a}")
        assert await self._routes(
            instrumented, client, app, "/outer/1/between/inner/2/leaf/3", "/again/1/inner/2/leaf/3", "/outer/x/own"
        ) == ["/outer/{a}/between/inner/{b}/leaf/{c}", "/again/{a}/inner/{b}/leaf/{c}", "/outer/{a}/own"]

    async def test_route_of_starlette(self, instrumented: Any, client: Client) -> None:
        app = Starlette(routes=[Route("/a/{b:path}", _ok)])
        assert await self._routes(instrumented, client, app, "/a/x/y/z") == ["/a/{b:path}"]

    async def test_router_of_starlette_mounted_with_parameters(self, instrumented: Any, client: Client) -> None:
        version = Mount("/v1", routes=[Route("/items/{item}", _ok), Route("/", _ok)])
        app = Starlette(routes=[Mount("/tenants/{tenant}", routes=[version])])
        assert await self._routes(
            instrumented, client, app, "/tenants/a/v1/items/1", "/tenants/b/v1/items/2", "/tenants/b/v1/"
        ) == ["/tenants/{tenant}/v1/items/{item}", "/tenants/{tenant}/v1/"]

    async def test_mounted_application_is_counted_once(self, instrumented: Any, client: Client) -> None:
        deepest, middle, app = FastAPI(), FastAPI(), FastAPI()

        @deepest.get("/{i}")
        async def read(i: int) -> int:
            return i

        middle.mount("/deep/{d}", deepest)
        app.mount("/sub", middle)
        assert await self._routes(instrumented, client, app, "/sub/deep/1/2") == ["/sub/deep/{d}/{i}"]

    async def test_mounted_application_that_matches_nothing(self, instrumented: Any, client: Client) -> None:
        app = Starlette(routes=[Mount("/sub/{x}", app=Starlette(routes=[Route("/known", _ok)]))])
        routes = await self._routes(instrumented, client, app, "/sub/1/unknown", "/sub/2/other")
        assert len(routes) == 1
        assert "1" not in str(routes[0])

    async def test_static_files(self, sized: Any, client: Client, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("a" * 1000)
        app = Starlette(routes=[Mount("/static", StaticFiles(directory=tmp_path))])
        routes = await self._routes(sized, client, app, "/static/a.txt", "/static/missing.txt", "/static/../x")
        assert set(routes) <= {"/static/{path}", None}
        assert sized.value(DURATION, {"http.response.status_code": 200, "http.route": "/static/{path}"}) == 1
        ((_, point),) = sized.series(RESPONSE_SIZE, {"http.response.status_code": 200})
        assert point.sum == 1000

    async def test_host_routes(self, instrumented: Any, client: Client) -> None:
        app = Starlette(routes=[Host("{anything}", Router(routes=[Route("/h/{x}", _ok)]))])
        assert await self._routes(instrumented, client, app, "/h/1") == ["/h/{x}"]

    async def test_root_path_is_not_part_of_the_route(self, instrumented: Any, client: Client) -> None:
        app = FastAPI(root_path="/behind/proxy")

        @app.get("/a/{b}")
        async def read(b: str) -> str:
            return b

        assert await self._routes(instrumented, client, app, "/a/1") == ["/a/{b}"]

    async def test_no_matching_route(self, instrumented: Any, client: Client) -> None:
        assert await self._routes(instrumented, client, FastAPI(), "/a", "/b", "/c/d") == [None]
        assert instrumented.labels(DURATION)[0]["http.response.status_code"] == 404
        assert "error.type" not in instrumented.labels(DURATION)[0]

    async def test_no_matching_method(self, instrumented: Any, client: Client) -> None:
        app = FastAPI()

        @app.get("/a/{b}")
        async def read(b: str) -> str:
            return b

        async with client(app) as session:
            assert (await session.post("/a/1")).status_code == 405
        labels = _only(instrumented)
        assert (labels.get("http.route"), labels["http.response.status_code"]) == ("/a/{b}", 405)

    async def test_trailing_slash_is_redirected(self, instrumented: Any, client: Client) -> None:
        app = Starlette(routes=[Route("/a/", _ok)])
        async with client(app) as session:
            assert (await session.get("/a")).status_code == 307
        assert "http.route" not in _only(instrumented)

    async def test_documentation_pages(self, instrumented: Any, client: Client) -> None:
        assert await self._routes(instrumented, client, FastAPI(), "/docs", "/openapi.json") == [
            "/docs",
            "/openapi.json",
        ]

    async def test_class_based_endpoint(self, instrumented: Any, client: Client) -> None:
        from starlette.endpoints import HTTPEndpoint

        class Endpoint(HTTPEndpoint):
            async def get(self, request: Request) -> PlainTextResponse:
                return PlainTextResponse("ok")

        app = Starlette(routes=[Route("/class", Endpoint)])
        assert await self._routes(instrumented, client, app, "/class") == ["/class"]


class TestOutcomes:
    @pytest.mark.parametrize(("status", "error"), [(400, None), (404, None), (422, None), (500, "500"), (503, "503")])
    async def test_http_exception(self, instrumented: Any, client: Client, status: int, error: str | None) -> None:
        app = FastAPI()

        @app.get("/")
        async def fail() -> None:
            raise HTTPException(status)

        async with client(app) as session:
            assert (await session.get("/")).status_code == status
        labels = _only(instrumented)
        assert (labels["http.response.status_code"], labels.get("error.type")) == (status, error)

    async def test_body_that_fails_validation(self, instrumented: Any, client: Client) -> None:
        app = FastAPI()

        @app.get("/{i}")
        async def read(i: int) -> int:
            return i

        async with client(app) as session:
            await session.get("/x")
        assert _only(instrumented)["http.response.status_code"] == 422

    @pytest.mark.parametrize("kind", [FastAPI, Starlette])
    async def test_unhandled_exception_is_counted_by_its_class(
        self, instrumented: Any, client: Client, kind: Any
    ) -> None:
        async def fail(request: Request) -> None:
            raise asyncio.InvalidStateError

        app = kind(routes=[Route("/a", fail)])
        async with client(app) as session:
            assert (await session.get("/a")).status_code == 500
        labels = _only(instrumented)
        assert labels["error.type"] == "asyncio.exceptions.InvalidStateError"
        assert labels["http.response.status_code"] == 500
        assert labels["http.route"] == "/a"

    async def test_exception_propagates_unchanged(self, instrumented: Any, call: Any) -> None:
        fault = ValueError("x")

        async def fail(request: Request) -> None:
            raise fault

        done = await call(Starlette(routes=[Route("/", fail)]))
        assert done.raised is fault

    async def test_handled_exception_counts_by_its_response(self, instrumented: Any, client: Client) -> None:
        app = FastAPI()

        @app.exception_handler(ValueError)
        async def handle(request: Request, error: Exception) -> JSONResponse:
            return JSONResponse({}, 409)

        @app.get("/")
        async def fail() -> None:
            raise ValueError

        async with client(app) as session:
            await session.get("/")
        labels = _only(instrumented)
        assert labels["http.response.status_code"] == 409
        assert "error.type" not in labels

    @pytest.mark.parametrize("before", [True, False])
    async def test_exception_in_a_middleware(self, instrumented: Any, client: Client, before: bool) -> None:
        class Faulty:
            def __init__(self, app: Any) -> None:
                self.app = app

            async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
                if before:
                    raise ZeroDivisionError
                await self.app(scope, receive, send)
                raise ZeroDivisionError

        app = Starlette(routes=[Route("/", _ok)], middleware=[Middleware(Faulty)])
        async with client(app) as session:
            await session.get("/")
        labels = _only(instrumented)
        if before:
            assert (labels["error.type"], labels["http.response.status_code"]) == ("ZeroDivisionError", 500)
        else:
            assert labels["http.response.status_code"] == 200

    async def test_every_kind_of_middleware(self, sized: Any, client: Client) -> None:
        class Based(BaseHTTPMiddleware):
            async def dispatch(self, request: Request, call_next: Any) -> Any:
                response = await call_next(request)
                response.headers["x-based"] = "1"
                return response

        app = FastAPI(middleware=[Middleware(CORSMiddleware, allow_origins=["*"]), Middleware(GZipMiddleware)])
        app.add_middleware(Based)

        @app.middleware("http")
        async def timed(request: Request, call_next: Any) -> Any:
            return await call_next(request)

        @app.get("/a/{b}")
        async def read(b: str) -> str:
            return b * 5000

        async with client(app) as session:
            response = await session.get("/a/x")
            preflight = await session.options(
                "/a/x", headers={"origin": "http://o", "access-control-request-method": "GET"}
            )
        assert (response.headers["x-based"], preflight.status_code) == ("1", 200)
        assert sized.value(DURATION) == 2
        assert sized.value(DURATION, {"http.request.method": "GET", "http.route": "/a/{b}"}) == 1
        ((_, point),) = sized.series(RESPONSE_SIZE, {"http.request.method": "GET"})
        assert point.sum == int(response.headers["content-length"]) < 5000

    async def test_exception_within_a_base_http_middleware(self, instrumented: Any, client: Client) -> None:
        app = FastAPI()

        @app.middleware("http")
        async def passing(request: Request, call_next: Any) -> Any:
            return await call_next(request)

        @app.get("/a")
        async def fail() -> None:
            raise KeyError("x")

        async with client(app) as session:
            await session.get("/a")
        labels = _only(instrumented)
        assert (labels["error.type"], labels["http.route"]) == ("KeyError", "/a")

    async def test_exception_in_a_dependency(self, instrumented: Any, client: Client) -> None:
        def broken() -> None:
            raise PermissionError

        app = FastAPI()

        @app.get("/a", dependencies=[Depends(broken)])
        async def read() -> None: ...

        async with client(app) as session:
            await session.get("/a")
        assert _only(instrumented)["error.type"] == "PermissionError"

    async def test_cancelled_request(self, instrumented: Any, call: Any) -> None:
        async def wait(request: Request) -> None:
            await asyncio.sleep(60)

        task = asyncio.create_task(call(Starlette(routes=[Route("/", wait)])))
        await asyncio.sleep(0.01)
        assert instrumented.value(ACTIVE) == 1
        task.cancel()
        done = await task
        assert isinstance(done.raised, asyncio.CancelledError)
        labels = _only(instrumented)
        assert labels["error.type"].endswith("CancelledError")
        assert "http.response.status_code" not in labels

    async def test_unknown_method(self, instrumented: Any, client: Client) -> None:
        app = Starlette(routes=[Route("/", _ok)])
        async with client(app) as session:
            for method in ("PROPFIND", "BREW", "get"):
                await session.request(method, "/")
        assert {labels["http.request.method"] for labels in instrumented.labels(DURATION)} <= {"_OTHER", "GET"}
        assert instrumented.dropped() == {}


class TestBodies:
    async def test_duration_includes_the_streamed_response(self, sized: Any, client: Client) -> None:
        app = FastAPI()

        async def parts() -> AsyncIterator[bytes]:
            for _ in range(5):
                await asyncio.sleep(0.01)
                yield b"x" * 100

        @app.get("/")
        async def stream() -> StreamingResponse:
            return StreamingResponse(parts())

        async with client(app) as session:
            await session.get("/")
        ((_, duration),) = sized.series(DURATION)
        ((_, size),) = sized.series(RESPONSE_SIZE)
        assert duration.sum >= 0.05
        assert size.sum == 500

    async def test_incomplete_stream_is_an_error(self, instrumented: Any, call: Any) -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield b"x"
            raise RuntimeError

        async def stream(request: Request) -> StreamingResponse:
            return StreamingResponse(parts())

        await call(Starlette(routes=[Route("/", stream)]))
        labels = _only(instrumented)
        assert (labels["http.response.status_code"], labels["error.type"]) == (200, "RuntimeError")

    @pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
    async def test_client_disconnects_during_a_stream(self, instrumented: Any, call: Any, spec_version: str) -> None:
        async def parts() -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(0)
                yield b"x"

        async def stream(request: Request) -> StreamingResponse:
            return StreamingResponse(parts())

        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)
            if len(sent) > 3 and spec_version == "2.4":
                raise OSError("gone")

        await call(
            Starlette(routes=[Route("/", stream)]), send=send, asgi={"version": "3.0", "spec_version": spec_version}
        )
        labels = _only(instrumented)
        assert labels["http.response.status_code"] == 200
        assert labels["error.type"] in ("incomplete_response", "starlette.requests.ClientDisconnect")

    async def test_request_is_counted_before_the_client_can_have_the_answer(self, instrumented: Any, call: Any) -> None:
        counted: list[float] = []

        async def send(message: Any) -> None:
            counted.append(instrumented.value(DURATION))

        async def answer(request: Request) -> PlainTextResponse:
            return PlainTextResponse("a")

        await call(Starlette(routes=[Route("/", answer)]), send=send)
        # Start of the response, body.
        assert counted == [0, 1]

    async def test_duration_excludes_background_tasks(self, instrumented: Any, client: Client) -> None:
        app = FastAPI()
        seen: list[float] = []

        async def later() -> None:
            seen.append(instrumented.value(ACTIVE))
            await asyncio.sleep(0.1)

        @app.get("/")
        async def read(tasks: BackgroundTasks) -> None:
            tasks.add_task(later)

        async with client(app) as session:
            await session.get("/")
        ((_, point),) = instrumented.series(DURATION)
        assert point.sum < 0.08
        assert seen == [0]

    async def test_failed_background_task_is_not_an_error_of_the_request(
        self, instrumented: Any, client: Client
    ) -> None:
        app = FastAPI()

        def later() -> None:
            raise RuntimeError

        @app.get("/")
        async def read(tasks: BackgroundTasks) -> None:
            tasks.add_task(later)

        async with client(app) as session:
            await session.get("/")
        assert "error.type" not in _only(instrumented)

    @pytest.mark.parametrize(
        ("headers", "body", "size"),
        [
            ([(b"content-length", b"10")], [b"0123456789"], 10),
            ([], [b"01234", b"56789", b""], 10),
            ([], [b""], 0),
            ([(b"content-length", b"0")], [b""], 0),
            ([(b"content-length", b"many")], [b"01234"], 5),
            ([(b"content-length", b"-5")], [b"01234"], 5),
            ([(b"content-length", b"9" * 1000)], [b"01234"], 5),
            ([(b"content-length", "²".encode("latin-1"))], [b"01234"], 5),
        ],
    )
    async def test_request_size(self, sized: Any, call: Any, headers: Any, body: list[bytes], size: int) -> None:
        async def read(request: Request) -> PlainTextResponse:
            await request.body()
            return PlainTextResponse("ok")

        await call(Starlette(routes=[Route("/", read, methods=["PUT"])]), method="PUT", headers=headers, body=body)
        ((_, point),) = sized.series(REQUEST_SIZE)
        assert point.sum == size

    async def test_body_that_is_not_read_has_no_size(self, sized: Any, call: Any) -> None:
        await call(Starlette(), headers=[(b"content-length", b"1000")])
        ((_, point),) = sized.series(REQUEST_SIZE)
        assert point.sum == 0

    async def test_sizes_are_off_by_default(self, instrumented: Any, call: Any) -> None:
        async def read(request: Request) -> PlainTextResponse:
            return PlainTextResponse(await request.body())

        done = await call(Starlette(routes=[Route("/", read, methods=["PUT"])]), method="PUT", body=[b"0123456789"])
        assert done.sent[-1]["body"] == b"0123456789"
        assert not {REQUEST_SIZE, RESPONSE_SIZE} & instrumented.names()
        assert instrumented.value(DURATION) == 1

    async def test_head_has_no_body(self, sized: Any, client: Client) -> None:
        app = Starlette(routes=[Route("/", _ok)])
        async with client(app) as session:
            await session.head("/")
        ((labels, point),) = sized.series(RESPONSE_SIZE)
        assert (labels["http.request.method"], point.sum) == ("HEAD", 0)

    async def test_pathsend_response_has_its_declared_size(self, sized: Any, call: Any, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("a" * 1000)
        app = Starlette(routes=[Mount("/", StaticFiles(directory=tmp_path))])
        done = await call(app, path="/a.txt", extensions={"http.response.pathsend": {}})
        assert done.sent[-1]["type"] == "http.response.pathsend"
        ((_, point),) = sized.series(RESPONSE_SIZE)
        assert point.sum == 1000

    async def test_scope_without_optional_keys(self, instrumented: Any, call: Any) -> None:
        async def minimal_application(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 204})
            await send({"type": "http.response.body"})

        app = Starlette(routes=[Mount("/", minimal_application)])
        done = await call(app)
        assert done.raised is None
        assert _only(instrumented)["http.response.status_code"] == 204

    async def test_application_without_a_response(self, instrumented: Any, call: Any) -> None:
        async def silent(scope: Any, receive: Any, send: Any) -> None: ...

        await call(Starlette(routes=[Mount("/", silent)]))
        labels = _only(instrumented)
        assert labels["error.type"] == "incomplete_response"
        assert "http.response.status_code" not in labels


class TestIntegrationWithTheService:
    async def test_sync_handler_runs_in_the_thread_pool(self, instrumented: Any, client: Client) -> None:
        app = FastAPI()
        states: list[float] = []

        @app.get("/{i}")
        def read(i: int) -> int:
            states.append(instrumented.value("trust.executor.threads", {"trust.executor.state": "active"}))
            time.sleep(0.02)
            return i

        async with client(app) as session:
            await asyncio.gather(*(session.get(f"/{i}") for i in range(5)))
        assert instrumented.value(DURATION, {"http.route": "/{i}"}) == 5
        assert max(states) >= 1
        assert instrumented.value("trust.executor.threads", {"trust.executor.state": "active"}) == 0
        assert instrumented.value("trust.executor.threads", {"trust.executor.state": "max"}) == 40
        assert instrumented.labels("trust.executor.queue.size") == [{"trust.executor.name": "anyio"}]

    @pytest.mark.parametrize("sync", [True, False])
    async def test_decorated_handler_is_counted_once(self, instrumented: Any, client: Client, sync: bool) -> None:
        app = FastAPI()

        if sync:

            @app.get("/a/{b}")
            @instrumented.metrics.http_request_metrics()
            def read(b: str) -> str:
                return b

        else:

            @app.get("/a/{b}")
            @instrumented.metrics.http_request_metrics()
            async def read(b: str) -> str:
                return b

        async with client(app) as session:
            assert (await session.get("/a/x")).json() == "x"
        assert _only(instrumented)["http.route"] == "/a/{b}"

    def test_websocket_is_not_counted(self, instrumented: Any) -> None:
        app = FastAPI()

        @app.websocket("/ws")
        async def talk(socket: WebSocket) -> None:
            await socket.accept()
            await socket.send_text("hi")
            await socket.close()

        with TestClient(app) as session, session.websocket_connect("/ws") as socket:
            assert socket.receive_text() == "hi"
        assert instrumented.series(DURATION) == []

    def test_lifespan_runs_and_is_not_counted(self, instrumented: Any) -> None:
        from contextlib import asynccontextmanager

        seen: list[str] = []

        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[None]:
            seen.append("start")
            yield
            seen.append("stop")

        with TestClient(FastAPI(lifespan=lifespan)):
            pass
        assert seen == ["start", "stop"]
        assert instrumented.series(DURATION) == []

    async def test_application_that_calls_another_counts_both(self, instrumented: Any, client: Client) -> None:
        """In one process, as in tests with several services."""
        inner = Starlette(routes=[Route("/inner", _ok)])
        outer = FastAPI()

        @outer.get("/outer")
        async def read() -> str:
            async with client(inner) as session:
                return (await session.get("/inner")).text

        async with client(outer) as session:
            await session.get("/outer")
        assert {labels["http.route"] for labels in instrumented.labels(DURATION)} == {"/inner", "/outer"}

    async def test_metrics_of_fastapi_are_disabled(self, recording: Any, client: Client) -> None:
        """Otherwise FastAPI would count every request a second time, under the same names."""
        HttpInstrumentor().instrument(metrics=recording.metrics)
        try:
            for app in (FastAPI(), FastAPI(telemetry={"meter_provider": recording.provider, "tracing": False})):
                app.add_api_route("/a", lambda: None)
                async with client(app) as session:
                    await session.get("/a")
                assert app._telemetry["metrics"] is False
            assert app._telemetry["tracing"] is False
            assert recording.value(DURATION) == 2
        finally:
            HttpInstrumentor().uninstrument()

    async def test_nothing_else_is_exported(self, instrumented: Any, client: Client) -> None:
        app = FastAPI()
        app.add_api_route("/a", lambda: None)
        async with client(app) as session:
            await session.get("/a")
            await session.get("/missing")
        own = {"process.uptime", "trust.otel.dropped", "trust.otel.instance.up", "trust.otel.overflow", DETECTOR}
        threads = {"trust.executor.threads", "trust.executor.queue.size"}
        instrumented.collect()
        assert instrumented.names() == {DURATION, ACTIVE} | own | threads
        assert {labels["metric"] for labels in instrumented.labels("trust.otel.overflow")} == {
            DURATION,
            ACTIVE,
            DETECTOR,
        } | threads

    def test_worker_threads_are_exported_from_the_first_request_on(self, instrumented: Any) -> None:
        assert not {"trust.executor.threads", "trust.executor.queue.size"} & instrumented.names()

    async def test_application_is_recognized_as_asgi_3(self, instrumented: Any) -> None:
        assert inspect.iscoroutinefunction(FastAPI().__call__)

    async def test_uninstrument_restores(self, recording: Any, client: Client) -> None:
        before = (Starlette.__call__, Route.handle, Mount.handle, FastAPI.__init__)
        HttpInstrumentor().instrument(metrics=recording.metrics)
        HttpInstrumentor().uninstrument()
        assert (Starlette.__call__, Route.handle, Mount.handle, FastAPI.__init__) == before
        async with client(Starlette(routes=[Route("/", _ok)])) as session:
            await session.get("/")
        assert recording.series(DURATION) == []
        assert FastAPI()._telemetry["metrics"] is True

    async def test_instrumenting_again_counts_once(self, recording: Any, client: Client) -> None:
        for _ in range(3):
            HttpInstrumentor().instrument(metrics=recording.metrics)
            async with client(Starlette(routes=[Route("/", _ok)])) as session:
                await session.get("/")
            HttpInstrumentor().uninstrument()
        assert recording.value(DURATION) == 3
        assert recording.value("trust.executor.threads", {"trust.executor.state": "max"}) == 0

    async def test_application_works_without_a_provider(self, client: Client) -> None:
        provider = otel_metrics.NoOpMeterProvider()
        from trust_otel import TrustServiceMetrics

        HttpInstrumentor().instrument(metrics=TrustServiceMetrics(provider))
        try:
            async with client(Starlette(routes=[Route("/", _ok)])) as session:
                assert (await session.get("/")).text == "ok"
        finally:
            HttpInstrumentor().uninstrument()
