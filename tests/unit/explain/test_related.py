"""What is compared with what: a quiet time before, dependencies, services upstream, instances that are gone."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

import httpx
import pytest

from trust_ops.explain.alert import Alert
from trust_ops.explain.causes import Cause, explain
from trust_ops.explain.events import Window, windows
from trust_ops.explain.history import History

_LABELS = {"service_name": "api", "deployment_environment_name": "x", "service_instance_id": "two"}
_ALERT = Alert("TrustServiceInstanceDown", _LABELS, 30_000, 30_060, 30_600)
_BEFORE, _DURING = Window(27_600, 29_400), Window(29_940, 30_600)
_HEARTBEAT = "trust_otel_instance_up"

Answer = Callable[[str, float], list[tuple[dict[str, str], float]]]


def _history(answer: Answer) -> History:
    def respond(request: httpx.Request) -> httpx.Response:
        form = parse_qs(request.content.decode())
        if "start" in form:
            found = answer(form["query"][0], 0)
            result: list[object] = [{"metric": labels, "values": [[value, "1"]]} for labels, value in found]
        else:
            found = answer(form["query"][0], float(form["time"][0]))
            result = [{"metric": labels, "value": [0, str(value)]} for labels, value in found]
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "", "result": result}})

    return History("http://localhost", timeout=1, max_series=100, transport=httpx.MockTransport(respond))


def _causes(answer: Answer, read: set[str]) -> dict[tuple[str, str], Cause]:
    def instant(query: str, at: float) -> list[tuple[dict[str, str], float]]:
        return answer(query, at) if at else []

    with _history(instant) as history:
        found = explain(history, _ALERT, read, _BEFORE, _DURING).causes
    return {(cause.kind, cause.value): cause for cause in found}


@pytest.mark.parametrize(
    ("fired", "end"),
    [
        ([], 29_400),
        ([29_700, 29_000, 28_000], 27_400),
        ([20_000], 29_400),
        # It fired six hours before, too: it says nothing about now.
        ([8_400, 29_000], 29_400),
    ],
)
def test_before_is_a_time_without_alerts_of_the_service(fired: list[float], end: float) -> None:
    def respond(_: httpx.Request) -> httpx.Response:
        series = [{"metric": {}, "values": [(at, "1") for at in sorted(fired)]}] if fired else []
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": series}})

    with History("http://localhost", timeout=1, max_series=9, transport=httpx.MockTransport(respond)) as history:
        before, during = windows(history, _ALERT, 40_000)
    assert before == Window(end - 1800, end)
    assert during == Window(29_940, 30_600)


def _instances(before: dict[str, float], during: dict[str, float]) -> Answer:
    """Heartbeats of instances that report, before and during."""

    def answer(query: str, at: float) -> list[tuple[dict[str, str], float]]:
        if _HEARTBEAT not in query or not query.startswith("max by"):
            return []
        seen = before if at == _BEFORE.end else during if "[75s]" in query else {**before, **during}
        return [({"service_instance_id": name}, value) for name, value in seen.items()]

    return answer


def test_an_instance_that_is_gone_without_a_clean_shutdown() -> None:
    found = _causes(_instances({"one": 1, "two": 1}, {"one": 1}), {_HEARTBEAT})
    assert list(found) == [("service_instance_id", "two")]


def test_an_instance_that_shut_down_cleanly_is_no_cause() -> None:
    assert not _causes(_instances({"one": 1, "two": 1}, {"one": 1, "two": 0}), {_HEARTBEAT})


def test_all_instances_that_are_gone_have_one_cause_that_is_first() -> None:
    found = _causes(_instances({"one": 1, "two": 1}, {}), {_HEARTBEAT})
    assert next(iter(found)) == ("all_instances", "")


def test_restarted_instances_without_a_new_version() -> None:
    assert list(_causes(_instances({"one": 1}, {"three": 1, "one": 0}), set())) == [("restart", "")]


def test_a_service_upstream_whose_requests_fail_is_a_cause_with_its_dependency() -> None:
    def answer(query: str, at: float) -> list[tuple[dict[str, str], float]]:
        if query.startswith("count by (__name__)"):
            return [({"__name__": "trust_dependency_up"}, 1)]
        if "trust_dependency_up" in query:
            return [({"trust_dependency_name": "signing"}, 1.0 if at == _BEFORE.end else 0.25)]
        if 'http_server_request_duration_seconds_count{service_name="signing"' in query:
            failed = 0.01 if at == _BEFORE.end else 5.0
            return [({"http_response_status_code": "200"}, 10 - failed), ({"http_response_status_code": "500"}, failed)]
        return []

    found = _causes(answer, set())
    assert found["trust_dependency_name", "signing"].score == pytest.approx(0.75)
    assert found["service_name", "signing"].during == pytest.approx(5.0)


def test_a_certificate_that_ended_in_between() -> None:
    def answer(query: str, at: float) -> list[tuple[dict[str, str], float]]:
        name = "trust_certificate_not_after_seconds"
        if query.startswith("count by (__name__)"):
            return [({"__name__": name}, 1)]
        ends = {"issuing-ca": 30_000.0, "root": 99_000.0}
        return [({"trust_certificate_name": each}, end) for each, end in ends.items()] if name in query else []

    assert list(_causes(answer, set())) == [("trust_certificate_name", "issuing-ca")]
