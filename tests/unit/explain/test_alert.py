"""Finding an alert in the history, and what its rule reads."""

from __future__ import annotations

from urllib.parse import parse_qs

import httpx
import pytest

from trust_ops.explain.alert import Alert, find, matchers, names_read
from trust_ops.explain.history import ExplainError, History, LoadedRule

_ALERT = Alert("TooManyErrors", {"service_name": "api", "severity": "critical"}, 0, 60, 120)


def _history(courses: list[tuple[dict[str, str], list[float]]], active: float | None = None) -> History:
    """A Prometheus with these alerts, each with the times of its samples."""

    def answer(request: httpx.Request) -> httpx.Response:
        query = parse_qs(request.content.decode())["query"][0]
        if query.startswith("ALERTS_FOR_STATE"):
            result: list[object] = [] if active is None else [{"metric": {}, "value": [0, str(active)]}]
        else:
            result = [{"metric": labels, "values": [[at, "1"] for at in times]} for labels, times in courses]
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "", "result": result}})

    return History("http://localhost", timeout=1, max_series=10, transport=httpx.MockTransport(answer))


def _times(begin: int, end: int) -> list[float]:
    return [float(at) for at in range(begin, end + 1, 30)]


def test_the_newest_firing_and_since_when_it_was_pending() -> None:
    labels = {"__name__": "ALERTS", "alertname": "A", "alertstate": "firing", "service_name": "api"}
    found = find(_history([(labels, [*_times(0, 300), *_times(900, 1200)])], active=780), "A", [], 1300, 1300)
    assert (found.active, found.begin, found.end) == (780, 900, 1200)
    assert found.labels == {"service_name": "api"}


def test_of_several_that_still_fire_the_last_to_begin() -> None:
    old, new = ({"alertname": "A", "service_name": name} for name in ("old", "new"))
    found = find(_history([(new, _times(900, 1200)), (old, _times(0, 1200))]), None, [], 1200, 1200)
    assert (found.service, found.others) == ("new", 1)


def test_without_its_pending_time_an_alert_began_when_it_fired() -> None:
    assert find(_history([({"alertname": "A"}, _times(60, 120))]), "A", [], 200, 200).active == 60


def test_no_firing_names_the_options() -> None:
    with pytest.raises(ExplainError, match=r"no alert A .* --at .* --within"):
        find(_history([]), "A", [], 1000, 1000)


@pytest.mark.parametrize(
    ("text", "matcher"),
    [
        ("service_name=api", 'service_name="api"'),
        ('service_name=~"api|web"', 'service_name=~"api|web"'),
        ("a!=", 'a!=""'),
    ],
)
def test_label_matchers(text: str, matcher: str) -> None:
    assert matchers([text]) == [matcher]


@pytest.mark.parametrize("text", ["api", "=x", 'a="b",c="d"', "a=\\"])
def test_what_is_no_label_matcher(text: str) -> None:
    with pytest.raises(ExplainError, match="not a label matcher"):
        matchers([text])


def test_the_rule_is_followed_through_recording_rules() -> None:
    rules = [
        LoadedRule("TooManyErrors", True, "errors:ratio > 0.05", {"severity": "critical"}),
        LoadedRule("TooManyErrors", True, "unrelated > 1", {"severity": "warning"}),
        LoadedRule("errors:ratio", False, 'errors:rate / requests_total{path="not_read"}', {}),
        LoadedRule("errors:rate", False, "rate(errors_total[2m])", {}),
    ]
    found = names_read(rules, _ALERT)
    assert {"errors_total", "requests_total"} <= found
    assert not found & {"unrelated", "not_read"}


def test_a_rule_that_is_not_loaded_reads_nothing() -> None:
    assert names_read([], _ALERT) == frozenset()
