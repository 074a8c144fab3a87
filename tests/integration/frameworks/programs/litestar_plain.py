"""A Litestar application without its plugin for OpenTelemetry."""

from __future__ import annotations

from litestar import Litestar, get


@get("/items/{number:int}", sync_to_thread=False)
def item(number: int) -> dict[str, int]:
    return {"item": number}


@get("/fail", sync_to_thread=False)
def fail() -> str:
    raise RuntimeError("no item")


HANDLERS = [item, fail]
application = Litestar(HANDLERS)
