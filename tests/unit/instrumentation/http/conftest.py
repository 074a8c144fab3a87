"""Measured applications, and clients that call them in the same process."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from trust_otel.instrumentation.http import HttpInstrumentor

DURATION = "http.server.request.duration"
ACTIVE = "http.server.active_requests"


@pytest.fixture
def instrumented(recording: Any) -> Iterator[Any]:
    """The recording of every application created from now on."""
    HttpInstrumentor().instrument(metrics=recording.metrics)
    yield recording
    HttpInstrumentor().uninstrument()
    assert recording.value(ACTIVE) == 0


@asynccontextmanager
async def _client(application: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
def client() -> Callable[[Any], Any]:
    return _client


class Call:
    """A request: what the application sent, and what it raised."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.raised: BaseException | None = None


@pytest.fixture
def call() -> Callable[..., Awaitable[Call]]:
    """Calls an application as a server does, with any scope."""

    async def request(
        application: Any,
        *,
        body: list[bytes] | None = None,
        send: Callable[[dict[str, Any]], Awaitable[None]] | None = None,
        **scope: Any,
    ) -> Call:
        done = Call()
        parts = list(body or [b""])

        async def receive() -> dict[str, Any]:
            if not parts:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def keep(message: dict[str, Any]) -> None:
            done.sent.append(message)
            if send is not None:
                await send(message)

        whole = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "root_path": "",
            "headers": [],
            "client": ("192.0.2.1", 1234),
            "server": ("test", 80),
            **scope,
        }
        try:
            await application(whole, receive, keep)
        except BaseException as error:
            done.raised = error
        return done

    return request
