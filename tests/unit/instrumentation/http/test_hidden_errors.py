"""`error.type` is the exception of the handler, although middleware catches it, wraps it or ends its response."""

import asyncio
import builtins
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import anyio
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, Router

DURATION = "http.server.request.duration"
FAULT = f"{__name__}.Fault"


class Fault(Exception):  # noqa: N818 - the name of a label
    pass


class Wrapper(Exception):  # noqa: N818 - the name of a label
    pass


class Based(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)


class BasedThatAnswers(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except Exception:
            return JSONResponse({}, 500)


class BasedThatChains(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except Exception as error:
            raise Wrapper from error


class Answers:
    """Answers in place of an exception, or ends the response that it interrupted."""

    status = 500

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        started = False

        async def noting(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            if started:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await JSONResponse({}, self.status)(scope, receive, send)


class Recovers(Answers):
    status = 200


class Groups:
    """Runs the application in a task group."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._app, scope, receive, send)


async def _fail(request: Request) -> None:
    raise Fault


def _fail_in_thread(request: Request) -> None:
    raise Fault


async def _fail_in_group(request: Request) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(_fail, request)


def _stream(parts: Callable[[], AsyncIterator[bytes] | Iterator[bytes]]) -> Callable[[Request], Awaitable[Any]]:
    async def handler(request: Request) -> StreamingResponse:
        return StreamingResponse(parts())

    return handler


async def _parts(*, at_once: bool = False) -> AsyncIterator[bytes]:
    if not at_once:
        yield b"x"
        await asyncio.sleep(0)
    raise Fault


def _sync_parts() -> Iterator[bytes]:
    yield b"x"
    raise Fault


class Application:
    """An endpoint that is an ASGI application."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._messages = messages

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        for message in self._messages:
            await send(message)
        raise Fault


START = {"type": "http.response.start", "status": 200, "headers": []}
PART = {"type": "http.response.body", "body": b"x", "more_body": True}

FAILING = {
    "coroutine": (_fail, 500),
    "thread": (_fail_in_thread, 500),
    "group": (_fail_in_group, 500),
    "application": (Application(), 500),
    "stream": (_stream(_parts), 200),
    "stream at once": (_stream(lambda: _parts(at_once=True)), 200),
    "sync stream": (_stream(_sync_parts), 200),
    "application that started": (Application(START, PART), 200),
}

ABOVE: dict[str, list[Any]] = {
    "nothing": [],
    "based": [Based],
    "two based": [Based, Based],
    "based that answers": [BasedThatAnswers],
    "based that chains": [BasedThatChains],
    "answers": [Answers],
    "answers above based": [Answers, Based],
    "based above answers": [Based, Answers],
    "groups": [Groups],
    "based above groups": [Based, Groups],
    "gzip above based": [GZipMiddleware, Based],
}


def _within_application(framework: Any) -> Callable[[Any, list[Middleware]], Any]:
    return lambda handler, above: framework(routes=[Route("/a/{x}", handler)], middleware=above)


PLACES: dict[str, Callable[[Any, list[Middleware]], Any]] = {
    "Starlette": _within_application(Starlette),
    "FastAPI": _within_application(FastAPI),
    "route": lambda handler, above: Starlette(routes=[Route("/a/{x}", handler, middleware=above)]),
    "mount": lambda handler, above: Starlette(
        routes=[Mount("/a", routes=[Route("/{x}", handler)], middleware=above)],
    ),
    "router": lambda handler, above: FastAPI(
        routes=[Mount("/a", Router(routes=[Route("/{x}", handler)], middleware=above))]
    ),
    "mounted application": lambda handler, above: Starlette(
        routes=[Mount("/a", FastAPI(routes=[Route("/{x}", handler)]))], middleware=above
    ),
}


async def _outcome(recording: Any, call: Any, application: Any, **scope: Any) -> tuple[int | None, str | None]:
    """Status and `error.type` of one request, which is recorded once."""
    # With an older version, a stream ends when the request's body does: its end looks like a disconnected client.
    await call(application, path="/a/1", **{"asgi": {"version": "3.0", "spec_version": "2.4"}, **scope})
    ((labels, point),) = recording.series(DURATION)
    assert point.count == 1
    assert recording.dropped() == {}
    return labels.get("http.response.status_code"), labels.get("error.type")


@pytest.mark.parametrize("failing", FAILING)
@pytest.mark.parametrize("above", ABOVE)
@pytest.mark.parametrize("place", PLACES)
async def test_exception_below_middleware(instrumented: Any, call: Any, failing: str, above: str, place: str) -> None:
    handler, status = FAILING[failing]
    app = PLACES[place](handler, [Middleware(layer) for layer in ABOVE[above]])
    assert await _outcome(instrumented, call, app) == (status, FAULT)


async def test_based_middleware_completes_a_response_that_an_application_interrupts_at_once(
    instrumented: Any, call: Any
) -> None:
    """The exception is there before the middleware has passed the start of the response on."""
    app = Starlette(routes=[Route("/a/{x}", Application(START))], middleware=[Middleware(Based)])
    assert await _outcome(instrumented, call, app) == (200, FAULT)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("failing", [name for name, (_, status) in FAILING.items() if status == 500])
async def test_middleware_that_recovers(instrumented: Any, call: Any, failing: str, place: str) -> None:
    app = PLACES[place](FAILING[failing][0], [Middleware(Recovers)])
    # A mounted application has answered already.
    expected = (500, FAULT) if place == "mounted application" else (200, None)
    assert await _outcome(instrumented, call, app) == expected


@pytest.mark.parametrize("above", ABOVE)
@pytest.mark.parametrize("status", [409, 503])
@pytest.mark.parametrize("handled", [Fault, Exception, 500])
@pytest.mark.parametrize("framework", [Starlette, FastAPI])
async def test_exception_handler_decides_by_its_status(
    instrumented: Any, call: Any, framework: Any, handled: Any, status: int, above: str
) -> None:
    def answer(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("handled", status)

    layers = [Middleware(layer) for layer in ABOVE[above]]
    app = framework(routes=[Route("/a/{x}", _fail)], middleware=layers, exception_handlers={handled: answer})
    outcome = await _outcome(instrumented, call, app)
    if handled is Fault:
        assert outcome == (status, None if status < 500 else str(status))
    elif outcome[0] == status:
        # The application raises the exception again after this handler.
        assert outcome == (status, None if status < 500 else FAULT)
    else:
        assert outcome == (500, FAULT)
        assert "answers" in above


@pytest.mark.parametrize("above", ABOVE)
@pytest.mark.parametrize("handled", [Exception, 500])
async def test_exception_handler_of_a_mounted_application(
    instrumented: Any, call: Any, handled: Any, above: str
) -> None:
    handlers: Any = {handled: lambda request, error: PlainTextResponse("handled", 409)}
    mounted = FastAPI(routes=[Route("/{x}", _fail)], exception_handlers=handlers)
    app = Starlette(routes=[Mount("/a", mounted)], middleware=[Middleware(layer) for layer in ABOVE[above]])
    assert await _outcome(instrumented, call, app) == (409, None)


@pytest.mark.parametrize("above", ABOVE)
@pytest.mark.parametrize("endpoint", [False, True])
async def test_http_exception_counts_by_its_status(instrumented: Any, call: Any, endpoint: bool, above: str) -> None:
    async def refuse(request: Request) -> None:
        raise HTTPException(503)

    class Refuses:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            raise HTTPException(503)

    handler: Any = Refuses() if endpoint else refuse
    app = Starlette(routes=[Route("/a/{x}", handler)], middleware=[Middleware(layer) for layer in ABOVE[above]])
    assert await _outcome(instrumented, call, app) == (503, "503")


@pytest.mark.parametrize("above", ABOVE)
@pytest.mark.parametrize("place", ["Starlette", "FastAPI", "route"])
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("sync", [False, True])
async def test_background_task_is_no_part_of_the_request(
    instrumented: Any, call: Any, above: str, place: str, streams: bool, sync: bool
) -> None:
    work: Callable[[Any], Any] = _fail_in_thread if sync else _fail
    task = BackgroundTask(work, None)

    async def handler(request: Request) -> Any:
        if streams:
            return StreamingResponse(iter([b"x"]), background=task)
        return PlainTextResponse("ok", background=task)

    app = PLACES[place](handler, [Middleware(layer) for layer in ABOVE[above]])
    assert await _outcome(instrumented, call, app) == (200, None)


@pytest.mark.parametrize("above", ["nothing", "based", "two based", "answers"])
async def test_parts_of_fastapi(instrumented: Any, call: Any, above: str) -> None:
    async def broken() -> AsyncIterator[None]:
        raise Fault
        yield

    app = FastAPI(middleware=[Middleware(layer) for layer in ABOVE[above]])

    @app.get("/a/{x}", dependencies=[Depends(broken)])
    async def read(x: str) -> None: ...

    assert await _outcome(instrumented, call, app) == (500, FAULT)


@pytest.mark.parametrize("above", ["nothing", "based", "two based", "answers"])
async def test_background_task_of_fastapi(instrumented: Any, call: Any, above: str) -> None:
    app = FastAPI(middleware=[Middleware(layer) for layer in ABOVE[above]])

    @app.get("/a/{x}")
    async def read(request: Request, tasks: BackgroundTasks) -> None:
        tasks.add_task(lambda: _fail_in_thread(request))

    assert await _outcome(instrumented, call, app) == (200, None)


@pytest.mark.parametrize("above", ["nothing", "based", "answers", "groups"])
async def test_cancelled_request_is_no_exception_of_the_handler(instrumented: Any, call: Any, above: str) -> None:
    started = asyncio.Event()

    async def wait(request: Request) -> None:
        started.set()
        await asyncio.sleep(60)

    app = Starlette(routes=[Route("/a/{x}", wait)], middleware=[Middleware(layer) for layer in ABOVE[above]])
    task = asyncio.create_task(call(app, path="/a/1"))
    await started.wait()
    task.cancel()
    assert isinstance((await task).raised, asyncio.CancelledError)
    assert instrumented.labels(DURATION)[0]["error.type"] == "asyncio.exceptions.CancelledError"


async def test_failing_middleware_that_cancels_the_handler_is_the_failure(instrumented: Any, call: Any) -> None:
    class Fails(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Any:
            task = asyncio.ensure_future(call_next(request))
            await asyncio.sleep(0.01)
            task.cancel()
            raise Wrapper

    async def wait(request: Request) -> None:
        await asyncio.sleep(60)

    app = Starlette(routes=[Route("/a/{x}", wait)], middleware=[Middleware(Fails)])
    assert await _outcome(instrumented, call, app) == (500, f"{__name__}.Wrapper")


@pytest.mark.parametrize("above", ["nothing", "based", "two based"])
@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
async def test_client_that_disconnects(instrumented: Any, call: Any, above: str, spec_version: str) -> None:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            yield b"x"

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) > 3:
            raise OSError("gone")

    app = Starlette(routes=[Route("/a/{x}", _stream(parts))], middleware=[Middleware(layer) for layer in ABOVE[above]])
    outcome = await _outcome(instrumented, call, app, send=send, asgi={"version": "3.0", "spec_version": spec_version})
    assert outcome[0] == 200
    assert outcome[1] in ("OSError", "starlette.requests.ClientDisconnect", "incomplete_response")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs exception groups")
@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([Fault()], FAULT),
        ([Fault(), Fault()], FAULT),
        ([Fault(), Wrapper()], "ExceptionGroup"),
        ([ValueError(), ValueError()], "ValueError"),
    ],
)
@pytest.mark.parametrize("above", ["nothing", "based", "answers", "groups"])
async def test_exception_groups(
    instrumented: Any, call: Any, errors: list[Exception], expected: str, above: str
) -> None:
    async def fail(request: Request) -> None:
        raise getattr(builtins, "ExceptionGroup")("several", errors)  # noqa: B009 - Python 3.11

    app = Starlette(routes=[Route("/a/{x}", fail)], middleware=[Middleware(layer) for layer in ABOVE[above]])
    assert await _outcome(instrumented, call, app) == (500, expected)


async def test_exception_passes_unchanged(instrumented: Any, call: Any) -> None:
    fault = Fault()

    async def fail(request: Request) -> None:
        raise fault

    layers = [Middleware(Based)]
    for app in (place(fail, layers) for place in PLACES.values()):
        assert (await call(app, path="/a/1")).raised is fault
