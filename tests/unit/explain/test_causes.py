"""The ranking of what explains a change, and when a change began."""

from __future__ import annotations

from urllib.parse import parse_qs

import httpx
import pytest

from trust_ops.explain import report
from trust_ops.explain.alert import Alert
from trust_ops.explain.causes import Explanation, explain, onset
from trust_ops.explain.events import Window
from trust_ops.explain.history import History

_ALERT = Alert(
    "TrustServiceHighErrorRate", {"service_name": "api", "deployment_environment_name": "x"}, 3000, 3120, 3420
)
_BEFORE, _DURING = Window(600, 2400), Window(2940, 3420)
_COUNT = "http_server_request_duration_seconds_count"

Series = list[tuple[dict[str, str], float]]


def _explained(before: Series, during: Series, max_series: int = 100) -> Explanation:
    """With requests per second before and during, each with its labels."""

    def answer(request: httpx.Request) -> httpx.Response:
        form = parse_qs(request.content.decode())
        query, result = form["query"][0], []
        if query.startswith("count by (__name__)") and (before or float(form["time"][0]) > _BEFORE.end):
            result = [{"metric": {"__name__": _COUNT}, "value": [0, "1"]}]
        elif "increase(" in query and _COUNT in query and 'service_name="api"' in query:
            series = before if float(form["time"][0]) == _BEFORE.end else during
            result = [{"metric": labels, "value": [0, str(value)]} for labels, value in series]
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "", "result": result}})

    transport = httpx.MockTransport(answer)
    with History("http://localhost", timeout=1, max_series=max_series, transport=transport) as history:
        return explain(history, _ALERT, {_COUNT}, _BEFORE, _DURING)


def _requests(failed: dict[tuple[str, str], float], version: str = "1") -> Series:
    """Ten requests per second of each route on each instance, and those that fail."""
    found: Series = []
    for route in ("/a", "/b"):
        for instance in ("one", "two"):
            place = {"http_route": route, "service_instance_id": instance, "service_version": version}
            wrong = failed.get((route, instance), 0.01)
            found.append(({**place, "http_response_status_code": "200"}, 10 - wrong))
            found.append(({**place, "http_response_status_code": "500"}, wrong))
    return found


_USUAL = _requests({})


def test_the_route_that_fails_is_first() -> None:
    explained = _explained(_USUAL, _requests({("/a", "one"): 4, ("/a", "two"): 4}))
    first = explained.causes[0]
    assert (first.kind, first.value) == ("http_route", "/a")
    assert first.share == pytest.approx(1.0)
    assert [first.before, first.during] == pytest.approx([0.02, 8])
    assert explained.symptoms == [
        "failures in http_server_request_duration_seconds: 0.04/s before, 8.02/s during "
        "(mostly http_response_status_code=500)"
    ]


def test_the_instance_that_fails_is_first() -> None:
    first = _explained(_USUAL, _requests({("/a", "one"): 4, ("/b", "one"): 4})).causes[0]
    assert (first.kind, first.value) == ("service_instance_id", "one")


def test_a_new_version_explains_failures_although_it_runs_everywhere() -> None:
    everywhere = {(route, instance): 4.0 for route in ("/a", "/b") for instance in ("one", "two")}
    first = _explained(_USUAL, _requests(everywhere, version="2")).causes[0]
    assert (first.kind, first.value) == ("service_version", "2")


def test_failures_everywhere_point_to_no_route_or_instance() -> None:
    everywhere = {(route, instance): 4.0 for route in ("/a", "/b") for instance in ("one", "two")}
    assert _explained(_USUAL, _requests(everywhere)).causes == []


def test_what_chance_explains_is_no_cause() -> None:
    assert _explained(_USUAL, _requests({("/a", "one"): 0.02})).causes == []


def test_a_metric_with_too_many_series_is_left_out_and_said_so() -> None:
    explained = _explained(_USUAL, _USUAL, max_series=5)
    assert "raise --max-series" in explained.left_out["http_server_request_duration_seconds"]
    assert "not compared: http_server_request_duration_seconds" in report.text(explained)


def test_a_service_that_was_not_there_before_is_said_so() -> None:
    explained = _explained([], _USUAL)
    assert not explained.seen_before
    assert "the service has no series before" in report.text(explained)


def test_the_report_has_numbers_and_the_query_of_each_cause() -> None:
    explained = _explained(_USUAL, _requests({("/a", "one"): 4, ("/a", "two"): 4}))
    text = report.text(explained)
    assert "1. http_route=/a, score 0." in text
    assert "0.02/s before, 8/s during, 100% of the change" in text
    assert f"Check: sum by (http_route) (rate({_COUNT}" in text
    assert report.as_json(explained)["causes"][0]["value"] == "/a"


@pytest.mark.parametrize(
    ("values", "began"),
    [
        ([0.0] * 100 + [5.0] * 20, 3000),
        ([0.0] * 95 + [5.0] * 25, 2850),
        ([5.0] * 100 + [0.0] * 20, 3000),
        ([1.0] * 120, None),
    ],
)
def test_when_a_course_left_its_mean(values: list[float], began: int | None) -> None:
    points = [(30.0 * number, value) for number, value in enumerate(values)]
    assert onset(points, 2400, Window(2940, 3600)) == began
