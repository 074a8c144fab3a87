"""Servers detect the kind of the application as before."""

from typing import Any

import httpx
import pytest
from asgiref.compatibility import is_double_callable
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from uvicorn import Config


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


class Subclass(Starlette):
    pass


class OwnCall(Starlette):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__(scope=scope, receive=receive, send=send)


@pytest.mark.parametrize("interface", ["auto", "asgi3"])
@pytest.mark.parametrize("kind", [Starlette, Subclass, OwnCall])
async def test_uvicorn_serves_a_plain_application(instrumented: Any, kind: type[Starlette], interface: Any) -> None:
    config = Config(kind(routes=[Route("/hello", hello)]), interface=interface, log_config=None)
    config.load()

    assert config.interface == "asgi3"
    transport = httpx.ASGITransport(config.loaded_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/hello")).text == "hello"


async def test_asgiref_recognises_a_single_callable(instrumented: Any) -> None:
    assert not is_double_callable(Starlette())


def test_call_without_arguments_raises_immediately(instrumented: Any) -> None:
    application: Any = Starlette()
    message = r"Starlette.__call__\(\) missing 3 required positional arguments: 'scope', 'receive', and 'send'"
    with pytest.raises(TypeError, match=message):
        application()
