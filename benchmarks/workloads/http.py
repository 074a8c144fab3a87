"""HTTP requests, from the server's call of the ASGI application to its last message."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from time import process_time_ns
from typing import Any

import fastapi

from benchmarks.workloads import Round, timed_round

_loop = asyncio.new_event_loop()

# On one core, because the cost of a switch to the thread of a sync handler depends on which core it runs on.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

# Path, method and body of the request. The matched route is the one registered last, the most expensive to find.
_REQUESTS = {
    "10 routes": ("/path-9/7", "GET", b""),
    "300 routes": ("/path-299/7", "GET", b""),
    "include_router": ("/prefix/path-9/7", "GET", b""),
    "POST": ("/documents/7", "POST", b"x" * 1000),
    "401": ("/denied/7", "GET", b""),
    "sync handler": ("/sync/7", "GET", b""),
}


def prepare(variant: str, case: str) -> Round:
    """A round of requests of this case."""
    with_traces = variant.endswith(", traces")
    before, after = _INSTRUMENTATIONS.get(variant.removesuffix(", traces"), (_nothing, _nothing))
    before(with_traces)
    app = _application(300 if case == "300 routes" else 10, included=case == "include_router")
    after(app)
    path, method, body = _REQUESTS[case]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost:8000"), (b"user-agent", b"benchmark/1"), (b"accept", b"*/*")],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 8000),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(_message: Any) -> None:
        return

    async def requests(count: int) -> int:
        started = process_time_ns()
        for _ in range(count):
            await app(dict(scope), receive, send)
        return process_time_ns() - started

    _loop.run_until_complete(_start(app))
    return timed_round(lambda count: _loop.run_until_complete(requests(count)))


def _application(routes: int, *, included: bool) -> fastapi.FastAPI:
    app = fastapi.FastAPI(openapi_url=None)
    router = fastapi.APIRouter(prefix="/prefix") if included else app.router

    def handler_of(number: int) -> Callable[[int], Awaitable[object]]:
        async def handler(item: int) -> dict[str, int]:
            return {"item": item}

        handler.__name__ = f"handler_{number}"
        return handler

    for number in range(routes):
        router.get(f"/path-{number}/{{item}}")(handler_of(number))
    if included:
        app.include_router(router)

    @app.post("/documents/{item}")
    async def document(item: int, request: fastapi.Request) -> dict[str, int]:
        return {"item": item, "size": len(await request.body())}

    @app.get("/denied/{item}")
    async def denied(item: int) -> None:  # noqa: ARG001 - names the parameter of the path
        raise fastapi.HTTPException(401)

    @app.get("/sync/{item}")
    def sync(item: int) -> dict[str, int]:
        return {"item": item}

    return app


async def _start(app: fastapi.FastAPI) -> None:
    """Start the application as a server does: FastAPI sets up its exporters in the lifespan."""
    started = asyncio.Event()
    never = asyncio.Event()
    messages = iter([{"type": "lifespan.startup"}])

    async def receive() -> dict[str, Any]:
        for message in messages:
            return message
        await never.wait()
        return {"type": "lifespan.shutdown"}

    async def send(_message: Any) -> None:
        started.set()

    _running.append(asyncio.ensure_future(app({"type": "lifespan", "state": {}}, receive, send)))
    await started.wait()


_running: list[asyncio.Future[None]] = []


# What the code of a service has to do for the variants that no launcher and no setting turns on.


def _nothing(_: object) -> None:
    return


def _configure_logfire(with_traces: bool) -> None:
    import logfire

    sampling = logfire.SamplingOptions(head=1.0 if with_traces else 0.0)
    logfire.configure(send_to_logfire=False, console=False, sampling=sampling)


def _instrument_logfire(app: fastapi.FastAPI) -> None:
    import logfire

    logfire.instrument_fastapi(app)


def _instrumentator(app: fastapi.FastAPI) -> None:
    from prometheus_client import CollectorRegistry
    from prometheus_fastapi_instrumentator import Instrumentator

    # One registry would refuse the metrics of the second application.
    Instrumentator(registry=CollectorRegistry()).instrument(app)


def _starlette_exporter(app: fastapi.FastAPI) -> None:
    from starlette_exporter import PrometheusMiddleware

    app.add_middleware(PrometheusMiddleware)


_INSTRUMENTATIONS: dict[str, tuple[Callable[[bool], None], Callable[[fastapi.FastAPI], None]]] = {
    "Logfire": (_configure_logfire, _instrument_logfire),
    "prometheus-fastapi-instrumentator": (_nothing, _instrumentator),
    "starlette-exporter": (_nothing, _starlette_exporter),
}
