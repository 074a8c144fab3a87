"""The applications of the servers.

A copy of this file is in the working directory of a server, so it must not import other modules of this repository.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ApplicationError(Exception):
    """Raised by failing handlers."""


@asynccontextmanager
async def lifespan(_application: Starlette) -> AsyncIterator[dict[str, str]]:
    """Sets state for requests, and logs start and shutdown."""
    print("application starts", flush=True)  # noqa: T201 - part of the compared log
    yield {"given": "by the lifespan"}
    print("application ends", flush=True)  # noqa: T201 - part of the compared log


async def text(_request: Request) -> Response:
    """A short response with a repeated header and a background task."""
    response = PlainTextResponse("text", background=BackgroundTask(_background))
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


def _background() -> None:
    print("background task", flush=True)  # noqa: T201 - part of the compared log


async def process_id(_request: Request) -> Response:
    """The process id of the worker. Not compared, because it differs between workers."""
    return PlainTextResponse(str(os.getpid()))


async def error(_request: Request) -> Response:
    """An unhandled exception."""
    raise ApplicationError("from a handler")


async def broken_stream(_request: Request) -> Response:
    """An exception after the start of the response."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"first"
        raise ApplicationError("from a stream")

    return StreamingResponse(chunks(), headers={"content-length": "100"})


async def echo(request: Request) -> Response:
    """The unchanged body."""
    return Response(await request.body(), media_type=request.headers.get("content-type"))


async def stream(_request: Request) -> Response:
    """A response in chunks."""

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(3):
            yield f"chunk {number}\n".encode()

    return StreamingResponse(chunks(), media_type="text/plain")


async def state(request: Request) -> Response:
    """The lifespan's state; empty on servers without lifespan support."""
    return PlainTextResponse(getattr(request.state, "given", "nothing"))


def threaded(_request: Request) -> Response:
    """A handler in the thread pool."""
    return PlainTextResponse("threaded")


async def websocket(socket: WebSocket) -> None:
    """Return one message, then close."""
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close(4000)


def routes() -> list[BaseRoute]:
    """All routes, for both frameworks."""
    return [
        Route("/process-id", process_id),
        Route("/text", text),
        Route("/error", error),
        Route("/broken", broken_stream),
        Route("/echo", echo, methods=["POST"]),
        Route("/stream", stream),
        Route("/state", state),
        Route("/threaded", threaded),
        WebSocketRoute("/websocket", websocket),
    ]


# Starlette ------------------------------------------------------------------------------------------------------------


class CountedCalls(Starlette):
    """A subclass that overrides `__call__`."""

    calls = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Count the call, and forward it."""
        self.calls += 1
        await super().__call__(scope, receive, send)


class Wrapped:
    """A class-based ASGI middleware around the application, as added by Sentry and others."""

    def __init__(self, application: Callable[..., Awaitable[None]]) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Forward the call."""
        await self._application(scope, receive, send)


def _mounts() -> list[BaseRoute]:
    return [Mount("/sub", app=Starlette(routes=routes()))]


starlette = Starlette(routes=[*routes(), *_mounts()], lifespan=lifespan)
starlette_subclass = CountedCalls(routes=[*routes(), *_mounts()], lifespan=lifespan)
starlette_wrapped = Wrapped(Starlette(routes=[*routes(), *_mounts()], lifespan=lifespan))


# FastAPI --------------------------------------------------------------------------------------------------------------


class Service(FastAPI):
    """A subclass with additional routes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_api_route("/own", self.own)

    async def own(self) -> dict[str, str]:
        """A route of the subclass."""
        return {"service": type(self).__name__}


async def _resource() -> AsyncIterator[str]:
    yield "a resource"


async def _unchanged(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    return await call_next(request)


def create_fastapi(kind: type[FastAPI] = FastAPI) -> FastAPI:
    """FastAPI with validation, a dependency, a middleware, and the same routes as the Starlette application."""
    application = kind(
        lifespan=lifespan, routes=routes(), middleware=[Middleware(BaseHTTPMiddleware, dispatch=_unchanged)]
    )
    router = APIRouter()

    @router.get("/items/{item}")
    async def read_item(item: int, resource: str = Depends(_resource)) -> dict[str, object]:
        return {"item": item, "resource": resource}

    application.include_router(router)
    return application


def _mounted() -> FastAPI:
    application = create_fastapi()
    sub_application = FastAPI(title="sub", routes=routes())
    sub_application.mount("/deeper", Starlette(routes=routes()))
    application.mount("/sub", sub_application)
    return application


fastapi = create_fastapi()
fastapi_subclass = create_fastapi(Service)
fastapi_mounted = _mounted()


# Without a framework --------------------------------------------------------------------------------------------------


async def _respond(path: str, receive: Receive, send: Send) -> None:
    if path == "/error":
        raise ApplicationError("from an application")
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    status = 200 if path in ("/text", "/echo", "/process-id") else 404
    answer = str(os.getpid()).encode() if path == "/process-id" else body or path.encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def _converse(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": (await receive())["text"]})
    await send({"type": "websocket.close", "code": 4000})


async def _live(receive: Receive, send: Send) -> None:
    for kind in ("startup", "shutdown"):
        await receive()
        print(f"application: {kind}", flush=True)  # noqa: T201 - part of the compared log
        await send({"type": f"lifespan.{kind}.complete"})


async def _answer(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["type"] == "websocket":
        await _converse(receive, send)
    else:
        await _respond(scope["path"], receive, send)


class Asgi3:
    """An ASGI 3 application: one call."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer."""
        await _answer(scope, receive, send)


class Asgi2:
    """An ASGI 2 application: the class is called with the scope, the instance with the channels."""

    def __init__(self, scope: Message) -> None:
        self._scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        """Answer."""
        await _answer(self._scope, receive, send)


asgi3 = Asgi3()
asgi2 = Asgi2


def wsgi(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    """A WSGI application."""
    path = environ["PATH_INFO"]
    if path == "/error":
        raise ApplicationError("from an application")
    if path == "/process-id":
        answer = str(os.getpid()).encode()
    else:
        answer = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or path.encode()
    status = "200 OK" if path in ("/text", "/echo", "/process-id") else "404 Not Found"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]


if __name__ == "__main__":
    import sys

    import uvicorn

    uvicorn.run(globals()[sys.argv[1]], host="127.0.0.1", port=int(sys.argv[2]))
