"""Clients cannot increase the number of series."""

import random
from typing import Any

from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from trust_otel.instrumentation.http import HttpInstrumentor


def _noise(dice: random.Random, length: int = 12) -> str:
    return "".join(dice.choice("abcdefghijklmnopqrstuvwxyz0123456789%/.-_~\u00e4\u65e5") for _ in range(length))


async def test_ten_thousand_random_requests_add_no_series(record: Any, call: Any) -> None:
    instrumented = record(http_body_sizes=True)
    HttpInstrumentor().instrument(metrics=instrumented.metrics)
    try:
        await _send_random_requests(instrumented, call)
    finally:
        HttpInstrumentor().uninstrument()


async def _send_random_requests(instrumented: Any, call: Any) -> None:
    app = FastAPI(routes=[Mount("/sub/{x}", routes=[Route("/{y}", lambda request: PlainTextResponse("ok"))])])

    @app.get("/documents/{document_id}")
    async def read(document_id: str) -> str:
        return document_id

    dice = random.Random(7)

    async def request() -> None:
        path = dice.choice(("/documents/", "/sub/", "/", "/unknown/")) + _noise(dice)
        await call(
            app,
            method=dice.choice(("GET", "GET", "POST", "HEAD", _noise(dice, 5).upper(), "\x00", "GET\r\nX: y")),
            path=path,
            raw_path=path.encode(),
            scheme=dice.choice(("http", "https", _noise(dice, 3))),
            http_version=dice.choice(("1.0", "1.1", "2", "3", "9.9", _noise(dice, 3))),
            query_string=_noise(dice).encode(),
            headers=[
                (b"host", _noise(dice).encode()),
                (b"user-agent", _noise(dice, 40).encode()),
                (b"content-length", dice.choice((b"0", b"7", _noise(dice).encode(), b"9" * 400))),
                (b"x-forwarded-for", _noise(dice).encode()),
                (b"traceparent", _noise(dice).encode()),
                (_noise(dice).encode(), b"x"),
            ],
            client=(_noise(dice), dice.randrange(65536)),
        )

    for _ in range(2000):
        await request()
    names = ("http.server.request.duration", "http.server.active_requests", "http.server.response.body.size")
    before = {name: len(instrumented.series(name)) for name in names}
    for _ in range(8000):
        await request()
    after = {name: len(instrumented.series(name)) for name in names}
    assert instrumented.value("http.server.request.duration") == 10_000
    # Only rare combinations of known values may still be added, never a value of a client.
    bound = 5 * 3 * 5 * 5
    assert all(after[name] <= bound for name in names)
    assert after["http.server.active_requests"] == before["http.server.active_requests"]
    routes = {labels.get("http.route") for labels in instrumented.labels("http.server.request.duration")}
    assert routes <= {None, "/documents/{document_id}", "/sub/{x}/{y}", "/sub/{x}/{path}"}
    assert instrumented.overflowed() == {}


async def test_series_for_arbitrary_statuses_are_bounded(instrumented: Any, call: Any) -> None:
    async def anything(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": scope["status"], "headers": []})
        await send({"type": "http.response.body", "body": b""})

    app = FastAPI(routes=[Mount("/", anything)])
    for status in (0, 99, 299, 600, 999, 10**30, 299):
        assert (await call(app, status=status)).raised is None
    statuses = {labels["http.response.status_code"] for labels in instrumented.labels("http.server.request.duration")}
    assert statuses == {299, "_other"}


async def test_invented_versions_and_methods_do_not_fill_the_memory(instrumented: Any, call: Any) -> None:
    app = FastAPI()
    for number in range(3 * instrumented.recorder.instruments.limits.label_sets):
        await call(app, method=f"M{number}", http_version=f"1.{number}", scheme="http")
        await call(app, method="GET", http_version=f"1.{number}", scheme="http")
    assert len(instrumented.recorder.http._kinds) <= instrumented.recorder.instruments.limits.label_sets
