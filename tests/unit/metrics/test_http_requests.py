"""`http_request_metrics`: handlers without automatic instrumentation."""

import asyncio
import sys
import threading
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Route

from trust_otel.metrics.request import current_request

DURATION = "http.server.request.duration"
ACTIVE = "http.server.active_requests"


def test_decorator_usage_example(recording: Any) -> None:
    metrics = recording.metrics

    @metrics.http_request_metrics()
    def handler(request: Any) -> str:
        """Answer."""
        assert recording.value(ACTIVE) == 1
        return "answer"

    assert handler(SimpleNamespace(method="GET")) == "answer"
    assert (handler.__name__, handler.__doc__) == ("handler", "Answer.")
    assert recording.labels(DURATION) == [
        {
            "http.request.method": "GET",
            "url.scheme": "http",
            "http.route": "handler",
            "http.response.status_code": 200,
        }
    ]
    assert recording.value(ACTIVE) == 0


async def test_coroutine_handler_is_measured_until_it_returns(recording: Any) -> None:
    metrics = recording.metrics

    @metrics.http_request_metrics(route="/documents/{id}", method="POST")
    async def handler() -> Any:
        await asyncio.sleep(0.02)
        return SimpleNamespace(status_code=201)

    assert asyncio.iscoroutinefunction(handler)
    await handler()
    ((labels, point),) = recording.series(DURATION)
    assert (labels["http.route"], labels["http.request.method"]) == ("/documents/{id}", "POST")
    assert labels["http.response.status_code"] == 201
    assert point.sum >= 0.02


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (SimpleNamespace(status_code=404), 404),
        (SimpleNamespace(status=HTTPStatus.CREATED), 201),
        (SimpleNamespace(status="open"), 200),
        (SimpleNamespace(status_code=7), 200),
        (None, 200),
        ({"status": 500}, 200),
    ],
)
def test_status_code_is_read_from_the_response_and_defaults_to_200(recording: Any, answer: object, status: int) -> None:
    assert recording.metrics.http_request_metrics()(lambda: answer)() is answer
    assert recording.labels(DURATION)[0]["http.response.status_code"] == status


def test_server_error_response_has_its_status_code_as_error_type(recording: Any) -> None:
    recording.metrics.http_request_metrics()(lambda: SimpleNamespace(status_code=503))()
    assert recording.labels(DURATION)[0]["error.type"] == "503"


def test_exception_is_reraised_and_counted_with_its_class(recording: Any) -> None:
    error = ValueError("x")

    @recording.metrics.http_request_metrics()
    def handler() -> None:
        raise error

    with pytest.raises(ValueError, match="x") as raised:
        handler()
    assert raised.value is error
    (labels,) = recording.labels(DURATION)
    assert (labels["error.type"], labels["http.response.status_code"]) == ("ValueError", 500)
    assert recording.value(ACTIVE) == 0
    assert current_request() is None


async def test_cancelled_request_is_recorded_and_no_longer_active(recording: Any) -> None:
    @recording.metrics.http_request_metrics()
    async def handler() -> None:
        await asyncio.sleep(60)

    task = asyncio.create_task(handler())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert recording.labels(DURATION)[0]["error.type"].endswith("CancelledError")
    assert recording.value(ACTIVE) == 0


def test_exception_with_client_error_status_has_no_error_type(recording: Any) -> None:
    class NotFoundError(Exception):
        status_code = 404

    @recording.metrics.http_request_metrics()
    def handler() -> None:
        raise NotFoundError

    with pytest.raises(NotFoundError):
        handler()
    (labels,) = recording.labels(DURATION)
    assert labels["http.response.status_code"] == 404
    assert "error.type" not in labels


def test_nested_decorators_count_one_request(recording: Any) -> None:
    inner = recording.metrics.http_request_metrics(route="inner")(lambda: "answer")
    outer = recording.metrics.http_request_metrics(route="outer")(lambda: inner())
    outer()
    assert [labels["http.route"] for labels in recording.labels(DURATION)] == ["outer"]
    inner()
    assert recording.value(DURATION) == 2


async def test_concurrent_requests_are_counted_separately(recording: Any) -> None:
    @recording.metrics.http_request_metrics()
    async def handler() -> None:
        await asyncio.sleep(0.01)

    await asyncio.gather(*(handler() for _ in range(20)))
    assert recording.value(DURATION) == 20
    assert recording.value(ACTIVE) == 0


def test_requests_in_threads_are_counted_separately(recording: Any) -> None:
    handler = recording.metrics.http_request_metrics()(lambda: None)
    threads = [threading.Thread(target=handler) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recording.value(DURATION) == 20


def test_raising_property_of_a_response_is_ignored(recording: Any) -> None:
    """For example a lazy-loaded column of a detached SQLAlchemy object."""

    class Row:
        @property
        def status(self) -> int:
            raise RuntimeError("detached")

        method = status

    row = Row()
    assert recording.metrics.http_request_metrics()(lambda argument: argument)(row) is row
    (labels,) = recording.labels(DURATION)
    assert (labels["http.request.method"], labels["http.response.status_code"]) == ("_OTHER", 200)


@pytest.mark.parametrize("method", ["get", "PROPFIND", "", "GET\n", "X" * 100_000])
def test_unknown_http_method_is_recorded_as_other_and_not_counted_as_dropped(recording: Any, method: str) -> None:
    recording.recorder.http.http_request(method=method).finish(status_code=200)
    assert recording.labels(DURATION)[0]["http.request.method"] == "_OTHER"
    assert recording.dropped() == {}


def test_body_sizes_are_recorded_if_known(record: Any) -> None:
    recording = record(http_body_sizes=True)
    recording.recorder.http.http_request(method="PUT", scheme="https", protocol_version="2").finish(
        route="/r", status_code=200, request_size=1000, response_size=0
    )
    recording.recorder.http.http_request(method="GET").finish(status_code=200)
    ((labels, point),) = recording.series("http.server.request.body.size")
    assert labels["network.protocol.version"] == "2"
    assert point.sum == 1000
    assert recording.value("http.server.response.body.size") == 1


def test_body_sizes_are_not_recorded_by_default(recording: Any) -> None:
    recording.recorder.http.http_request(method="PUT").finish(status_code=200, request_size=1000, response_size=0)
    assert recording.names() & {"http.server.request.body.size", "http.server.response.body.size"} == set()
    assert recording.value(DURATION) == 1


def _starlette_request(**scope: Any) -> Request:
    return Request(
        {"type": "http", "method": "PATCH", "scheme": "https", "http_version": "1.1", "headers": [], **scope}
    )


def _nested(path: str, value: str) -> SimpleNamespace:
    """An object with this value at a path of attributes."""
    name, _, rest = path.partition(".")
    return SimpleNamespace(**{name: _nested(rest, value) if rest else value})


class _Grpc:
    """A context of gRPC."""

    def invocation_metadata(self) -> tuple[()]:
        return ()


_TEMPLATE = "/a/{x}"


def test_failure_of_an_sla_does_not_reach_the_handler(recording: Any) -> None:
    def evaluator(labels: Any) -> Any:
        def fail(amount: float) -> None:
            raise RuntimeError

        return fail

    recording.recorder.instruments.evaluate_slas({DURATION: (evaluator,)})
    handler = recording.metrics.http_request_metrics()(lambda: "answer")
    assert [handler(), handler(), handler()] == ["answer"] * 3
    assert recording.dropped() == {"internal_error": 3}


class TestRequestAmongTheArguments:
    """Method and route of a decorator without arguments."""

    @pytest.mark.parametrize(
        ("request_object", "method", "route"),
        [
            (_starlette_request(), "PATCH", "handler"),
            (_starlette_request(route=Route(_TEMPLATE, lambda request: None)), "PATCH", _TEMPLATE),
            (
                _starlette_request(
                    route=SimpleNamespace(path="/{x}"),
                    fastapi={"effective_route_context": SimpleNamespace(path=_TEMPLATE)},
                ),
                "PATCH",
                _TEMPLATE,
            ),
            (_starlette_request(route=object(), fastapi=7), "PATCH", "handler"),
            *(
                (SimpleNamespace(method="PUT", **vars(_nested(path, _TEMPLATE))), "PUT", _TEMPLATE)
                for path in (
                    "url_rule.rule",
                    "resolver_match.route",
                    "match_info.route.resource.canonical",
                    "uri_template",
                    "route.rule",
                    "matched_route.pattern",
                )
            ),
            (SimpleNamespace(method="PUT", url_rule=None), "PUT", "handler"),
            (_Grpc(), "POST", "handler"),
            (SimpleNamespace(method="annual", headers=None), "_OTHER", "handler"),
            (SimpleNamespace(method=7), "_OTHER", "handler"),
            (object(), "_OTHER", "handler"),
        ],
    )
    @pytest.mark.parametrize("passed", ["first", "second", "keyword", "method of a class"])
    def test_method_and_route(self, recording: Any, request_object: Any, method: str, route: str, passed: str) -> None:
        @recording.metrics.http_request_metrics()
        def handler(*args: Any, **kwargs: Any) -> None: ...

        if passed == "first":
            handler(request_object)
        elif passed == "second":
            handler(SimpleNamespace(method="annual"), request_object)
        elif passed == "keyword":
            handler(request=request_object)
        else:
            type("Handlers", (), {"handler": handler})().handler(request_object)
        (labels,) = recording.labels(DURATION)
        assert (labels["http.request.method"], labels["http.route"]) == (method, route)
        assert recording.dropped() == {}

    def test_what_is_given_is_recorded(self, recording: Any) -> None:
        decorate = recording.metrics.http_request_metrics(route="/given", method="DELETE")
        decorate(lambda request: None)(_starlette_request(route=Route(_TEMPLATE, lambda request: None)))
        (labels,) = recording.labels(DURATION)
        assert (labels["http.request.method"], labels["http.route"]) == ("DELETE", "/given")

    def test_scheme_and_version_come_from_the_request(self, recording: Any) -> None:
        for request in (_starlette_request(), SimpleNamespace(method="GET", scheme="https"), _Grpc()):
            recording.metrics.http_request_metrics()(lambda request: None)(request)
        assert [
            (labels["url.scheme"], labels.get("network.protocol.version")) for labels in recording.labels(DURATION)
        ] == [("https", "1.1"), ("https", None), ("http", "2")]

    @pytest.mark.parametrize("framework", ["flask", "quart"])
    @pytest.mark.parametrize("active", [True, False])
    async def test_current_request(
        self, recording: Any, monkeypatch: pytest.MonkeyPatch, framework: str, active: bool
    ) -> None:
        current = SimpleNamespace(method="PUT", **vars(_nested("url_rule.rule", "/a/<x>")))
        module = SimpleNamespace(has_request_context=lambda: active, request=current)
        monkeypatch.setitem(sys.modules, framework, module)

        @recording.metrics.http_request_metrics()
        async def handler(x: str) -> None: ...

        await handler("1")
        (labels,) = recording.labels(DURATION)
        expected = ("PUT", "/a/<x>") if active else ("_OTHER", "handler")
        assert (labels["http.request.method"], labels["http.route"]) == expected

    def test_module_with_the_name_of_a_framework(self, recording: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "flask", SimpleNamespace())
        recording.metrics.http_request_metrics()(lambda: None)()
        assert recording.labels(DURATION)[0]["http.request.method"] == "_OTHER"
        assert recording.dropped() == {}

    async def test_handler_of_an_application_that_is_not_instrumented(self, recording: Any) -> None:
        app = FastAPI()

        @app.get("/documents/{name}")
        @recording.metrics.http_request_metrics()
        async def read(name: str, request: Request) -> str:
            return name

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://test") as client:
            assert (await client.get("/documents/1")).json() == "1"
        (labels,) = recording.labels(DURATION)
        assert (labels["http.request.method"], labels["http.route"]) == ("GET", "/documents/{name}")
        assert labels["url.scheme"] == "https"
