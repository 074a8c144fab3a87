"""Requests that settings exclude: by URL, by framework, and the methods that are known."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import fastapi
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from tests.unit.instrumentation.http.conftest import DURATION
from trust_otel.instrumentation import fastapi_telemetry
from trust_otel.instrumentation.excluded_urls import ExcludedUrls
from trust_otel.instrumentation.http import HttpInstrumentor

_EXCLUDED = "OTEL_PYTHON_EXCLUDED_URLS"
_FASTAPI = "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS"
_STARLETTE = "OTEL_PYTHON_STARLETTE_EXCLUDED_URLS"
_ASGI = "OTEL_PYTHON_ASGI_EXCLUDED_URLS"
_DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


async def _ok(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def _starlette(*more: Any) -> Starlette:
    return Starlette(routes=[Route("/healthz", _ok), Route("/a", _ok), *more])


def _fastapi(**arguments: Any) -> FastAPI:
    app = FastAPI(**arguments)
    app.add_api_route("/healthz", lambda: "ok")
    app.add_api_route("/a", lambda: "ok")
    return app


class Measured:
    """Instrumented applications, with the environment that a test gives."""

    def __init__(self, recording: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.recording = recording
        self._monkeypatch = monkeypatch

    def start(self, **variables: str) -> None:
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)
        HttpInstrumentor().instrument(metrics=self.recording.metrics)

    def routes(self) -> set[str | None]:
        return {labels.get("http.route") for labels in self.recording.labels(DURATION)}


@pytest.fixture
def measured(recording: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Measured]:
    yield Measured(recording, monkeypatch)
    HttpInstrumentor().uninstrument()


@pytest.mark.parametrize(
    ("variables", "routes"),
    [
        ({}, {"/healthz", "/a"}),
        ({_EXCLUDED: "healthz"}, {"/a"}),
        ({_EXCLUDED: " nothing , healthz "}, {"/a"}),
        ({_EXCLUDED: "http://test/h.*z$"}, {"/a"}),
        ({_EXCLUDED: "^/healthz"}, {"/healthz", "/a"}),
        ({_EXCLUDED: "HEALTHZ"}, {"/healthz", "/a"}),
        ({_EXCLUDED: "(?i)HEALTHZ"}, {"/a"}),
        ({_EXCLUDED: ""}, {"/healthz", "/a"}),
        ({_EXCLUDED: ","}, {"/healthz", "/a"}),
    ],
)
@pytest.mark.parametrize("make", [_fastapi, _starlette])
async def test_excluded_urls_have_no_series(
    measured: Measured, client: Any, make: Any, variables: dict[str, str], routes: set[str]
) -> None:
    measured.start(**variables)
    async with client(make()) as session:
        for path in ("/healthz", "/a"):
            assert (await session.get(path)).status_code == 200
    assert measured.routes() == routes
    assert measured.recording.dropped() == {}


@pytest.mark.parametrize(
    ("variables", "fastapi_routes", "starlette_routes"),
    [
        ({_FASTAPI: "healthz"}, {"/a"}, {"/healthz", "/a"}),
        ({_STARLETTE: "healthz"}, {"/healthz", "/a"}, {"/a"}),
        ({_EXCLUDED: "healthz", _FASTAPI: "/a"}, {"/healthz"}, {"/a"}),
        ({_EXCLUDED: "healthz", _FASTAPI: ""}, {"/healthz", "/a"}, {"/a"}),
        ({_ASGI: "healthz", _EXCLUDED: "/a"}, {"/a"}, {"/a"}),
        ({_ASGI: "healthz", _STARLETTE: "/a"}, {"/a"}, {"/healthz"}),
        ({_DISABLED: "fastapi"}, set(), {"/healthz", "/a"}),
        ({_DISABLED: "starlette"}, {"/healthz", "/a"}, set()),
    ],
)
async def test_each_framework_has_its_own_variable(
    measured: Measured,
    client: Any,
    variables: dict[str, str],
    fastapi_routes: set[str],
    starlette_routes: set[str],
) -> None:
    measured.start(**variables)
    seen: set[str | None] = set()
    for make, routes in ((_fastapi, fastapi_routes), (_starlette, starlette_routes)):
        async with client(make()) as session:
            for path in ("/healthz", "/a"):
                await session.get(path, headers={"x-forwarded-proto": "http"})
        assert measured.routes() - seen == routes - seen
        assert measured.routes() == seen | routes
        seen |= routes


async def test_subclass_of_fastapi_is_fastapi(measured: Measured, client: Any) -> None:
    class Service(FastAPI):
        pass

    measured.start(**{_FASTAPI: "healthz"})
    app = Service()
    app.add_api_route("/healthz", lambda: "ok")
    async with client(app) as session:
        await session.get("/healthz")
    assert measured.routes() == set()


async def test_application_mounted_in_an_excluded_request_is_not_measured(measured: Measured, client: Any) -> None:
    measured.start(**{_FASTAPI: "inner"})
    app = _fastapi()
    app.mount("/inner", _starlette())
    async with client(app) as session:
        assert (await session.get("/inner/a")).status_code == 200
        await session.get("/a")
    assert measured.routes() == {"/a"}


@pytest.mark.parametrize(("disabled", "count"), [("starlette", 0), ("fastapi", 2)])
async def test_outermost_application_decides(measured: Measured, client: Any, disabled: str, count: int) -> None:
    measured.start(**{_DISABLED: disabled})
    app = _starlette(Mount("/inner", _fastapi()))
    async with client(app) as session:
        await session.get("/inner/a")
        await session.get("/a")
    assert measured.recording.value(DURATION) == count


@pytest.mark.parametrize(
    ("variables", "counts"), [({_EXCLUDED: "healthz"}, 1), ({_DISABLED: "starlette"}, 2), ({_FASTAPI: "healthz"}, 2)]
)
async def test_decorated_handler_of_an_excluded_request_records_nothing(
    measured: Measured, client: Any, variables: dict[str, str], counts: int
) -> None:
    measured.start(**variables)
    decorated = measured.recording.metrics.http_request_metrics(route="/decorated")(_ok)
    app = Starlette(routes=[Route("/healthz", decorated), Route("/a", decorated)])
    async with client(app) as session:
        await session.get("/healthz")
        await session.get("/a")
    assert measured.recording.value(DURATION) == counts
    measured.recording.metrics.http_request_metrics(route="/later", method="GET")(lambda: None)()
    assert "/later" in measured.routes()


async def test_request_in_which_an_excluded_application_is_mounted_is_measured(measured: Measured, client: Any) -> None:
    measured.start(**{_STARLETTE: "inner"})
    app = _fastapi()
    app.mount("/inner", _starlette())
    async with client(app) as session:
        await session.get("/inner/a")
    assert measured.routes() == {"/inner/a"}


async def test_excluded_request_is_no_security_event(measured: Measured, client: Any) -> None:
    measured.start(**{_EXCLUDED: "/healthz"})
    async with client(_starlette()) as session:
        assert (await session.get("/healthz/x")).status_code == 404
    assert measured.recording.value("trust.security.incidents") == 0
    assert measured.routes() == set()


@pytest.mark.parametrize("host", ["healthz", "healthz:80", "x/healthz", "test?healthz"])
@pytest.mark.parametrize("pattern", ["healthz", "healthz.*", "//healthz", "^http://healthz"])
def test_host_header_does_not_exclude_a_request(host: str, pattern: str) -> None:
    scope = {"server": ("10.0.0.1", 8000), "path": "/login", "headers": [(b"host", host.encode())]}
    assert not ExcludedUrls("FASTAPI", {_EXCLUDED: pattern})(scope)


@pytest.mark.parametrize(
    "pattern", ["http://trust.example:8000/healthz", "trust.example.*/healthz$", "http://10.0.0.1:8000/", "10.0.0.1"]
)
def test_pattern_may_contain_the_host(pattern: str) -> None:
    scope = {"server": ("10.0.0.1", 8000), "path": "/healthz", "headers": [(b"host", b"trust.example:8000")]}
    assert ExcludedUrls("FASTAPI", {_EXCLUDED: pattern})(scope)


@pytest.mark.parametrize(
    "scope",
    [
        {},
        {"server": None},
        {"server": ("/run/socket", None)},
        {"headers": [("host", "x")]},
        {"server": ()},
        {"path": 1},
    ],
)
def test_unusual_scopes_do_not_fail(scope: dict[str, Any]) -> None:
    assert ExcludedUrls("FASTAPI", {_EXCLUDED: "healthz"})({**scope}) is False


async def test_excluded_urls_have_no_span_of_fastapi(measured: Measured, client: Any) -> None:
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    measured.start(**{_EXCLUDED: "healthz"})
    telemetry: dict[str, Any] = {"tracer_provider": provider, "operation_spans": False}
    given = {**telemetry, "exclude": lambda scope: scope["path"] == "/a"}
    async with client(_fastapi(telemetry=telemetry)) as session:
        await session.get("/healthz")
        await session.get("/a")
    async with client(_fastapi(telemetry=given)) as session:
        await session.get("/healthz")
        await session.get("/a")
    assert [span.name for span in memory.get_finished_spans()] == ["GET /a"]
    provider.shutdown()


@pytest.fixture
def restored() -> Iterator[ModuleType]:
    """FastAPI, whose telemetry is as before after the test."""
    before = FastAPI.setup
    yield fastapi
    FastAPI.setup = before  # type: ignore[method-assign]


async def test_disabled_instrumentation_turns_off_fastapis_own_telemetry(restored: ModuleType, client: Any) -> None:
    fastapi_telemetry.turn_off(restored)
    app = _fastapi()
    assert [app._telemetry[signal] for signal in ("metrics", "tracing", "logs")] == [False, False, False]
    async with client(app) as session:
        assert (await session.get("/a")).status_code == 200


def test_provider_that_the_program_gives_to_fastapi_stays(restored: ModuleType, recording: Any) -> None:
    fastapi_telemetry.turn_off(restored)
    telemetry = FastAPI(telemetry={"meter_provider": recording.provider})._telemetry
    assert [telemetry[signal] for signal in ("metrics", "tracing", "logs")] == [True, False, False]


def test_module_without_telemetry_stays_as_it_is() -> None:
    fastapi_telemetry.turn_off(ModuleType("fastapi"))
    old = ModuleType("fastapi")
    old.FastAPI = type("FastAPI", (), {})  # type: ignore[attr-defined]
    fastapi_telemetry.turn_off(old)
    assert not hasattr(old.FastAPI, "setup")


@pytest.mark.parametrize(
    ("known", "sent", "recorded"),
    [
        ("GET,PROPFIND", "PROPFIND", "PROPFIND"),
        ("GET,PROPFIND", "GET", "GET"),
        ("GET,PROPFIND", "POST", "_OTHER"),
        ("GET,PROPFIND", "propfind", "_OTHER"),
        (" get , GET", "GET", "GET"),
        ("PROPFIND", "GET", "_OTHER"),
    ],
)
async def test_known_methods_replace_the_list(
    record: Any, call: Any, monkeypatch: pytest.MonkeyPatch, known: str, sent: str, recorded: str
) -> None:
    methods = frozenset(name.strip() for name in known.split(","))
    recording = record(http_methods=methods)
    HttpInstrumentor().instrument(metrics=recording.metrics)
    try:
        await call(_starlette(), method=sent, path="/a")
    finally:
        HttpInstrumentor().uninstrument()
    assert {labels["http.request.method"] for labels in recording.labels(DURATION)} == {recorded}
    recording.metrics.http_request_metrics(method=sent)(lambda: None)()
    assert {labels["http.request.method"] for labels in recording.labels(DURATION)} == {recorded}
