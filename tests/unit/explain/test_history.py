"""Queries to Prometheus: errors name the option and the remedy."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from trust_ops.explain.history import ExplainError, History, QueryRefusedError

_EMPTY = {"status": "success", "data": {"resultType": "vector", "result": []}}


def _history(answer: Callable[[httpx.Request], httpx.Response], max_series: int = 10) -> History:
    return History("http://prometheus:9090", timeout=3, max_series=max_series, transport=httpx.MockTransport(answer))


def test_each_query_has_a_timeout_and_a_limit() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.content.decode())
        return httpx.Response(200, json=_EMPTY)

    with _history(answer) as history:
        assert history.vector("up", 100) == []
    assert "timeout=3s" in seen[0]
    assert "limit=11" in seen[0]


def test_more_series_than_the_limit_are_refused() -> None:
    series = [{"metric": {"pod": str(number)}, "value": [0, "1"]} for number in range(11)]
    content = {"status": "success", "data": {"resultType": "vector", "result": series}}
    with (
        _history(lambda _: httpx.Response(200, json=content)) as history,
        pytest.raises(QueryRefusedError, match="raise --max-series"),
    ):
        history.vector("up", 100)


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (503, {"status": "error", "errorType": "timeout", "error": "query timed out"}, "raise --timeout"),
        (422, {"status": "error", "errorType": "execution", "error": "too many samples"}, "--query"),
        (401, "Unauthorized", "user and password"),
        (404, "<html>", "check the URL"),
        (200, {"status": "success", "data": []}, "not that of Prometheus"),
        (200, {"status": "success"}, "--prometheus http://prometheus:9090"),
    ],
)
def test_an_error_names_its_remedy(status: int, content: object, message: str) -> None:
    with (
        _history(lambda _: httpx.Response(status, json=content)) as history,
        pytest.raises(ExplainError, match=message),
    ):
        history.vector("up", 100)


def test_a_prometheus_that_does_not_run_is_named_without_credentials() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    history = History(
        "http://user:secret@prometheus:9090", timeout=3, max_series=10, transport=httpx.MockTransport(refuse)
    )
    with history, pytest.raises(ExplainError, match=r"--prometheus http://prometheus:9090 cannot be reached") as raised:
        history.rules()
    assert "secret" not in str(raised.value)


def test_a_query_without_a_response_in_time() -> None:
    def wait(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late", request=request)

    with _history(wait) as history, pytest.raises(QueryRefusedError, match="raise --timeout"):
        history.vector("up", 100)


@pytest.mark.parametrize("url", ["prometheus:9090", "ftp://prometheus", "http://prometheus/?query=up", ""])
def test_a_url_that_is_none_of_prometheus(url: str) -> None:
    with pytest.raises(ExplainError, match="--prometheus is not a URL"):
        History(url, timeout=3, max_series=10)
