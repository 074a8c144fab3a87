"""The dashboards over the whole stack: every query answers, nothing is empty, numbers are true, and faults are red."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from examples.demo.report import Report
from testbed.screenshots.environment import SERVICE, Environment, environment
from tests.support.dashboards import FILES, Answer, Asked, numbers_in, queries, too_slow
from tests.support.expected_values import AT_REST, BACKGROUND, OVER_TIME, RECENT, Share
from tests.support.postgresql import needs_postgresql
from tests.support.services import arrived
from tools.preview import Preview
from tools.preview.browser import DESKTOP, PHONE, Browser, PanelState, dashboard_url

T = TypeVar("T")

_MISSING = [name for name in ("node", "npm", "chromium") if shutil.which(name) is None]

pytestmark = [
    pytest.mark.timeout(900),
    needs_postgresql,
    pytest.mark.skipif(bool(_MISSING) and "CI" not in os.environ, reason=f"not on this machine: {', '.join(_MISSING)}"),
]

_QUERIES = {query.key: query for query in queries()}
_UIDS = [file.stem for file in FILES]

# By then every window of a rate is full, and everything has been done more than once.
_WARM_SECONDS = 150
# By then the windows of two minutes have nothing left of the traffic.
_REST_SECONDS = 140
_SCENARIO_SECONDS = 40
_RED_SECONDS = 30
_SHOWN_SECONDS = 3600
# Counters are read to the last sample and from before their first: only what is rounded differs.
_TOLERANCE = 0.01
# The time that a panel shows in which its sums of recorded rates have one point.
_ONE_POINT_SECONDS = 61
# Prometheus draws what it knows on to the edges of a window: by less than the distance of two exports.
# A series that was born late weighs more than it should.
_TOLERANCE_OF_RATES, _TOLERANCE_OF_SHARES = 0.12, 0.03
# The same for every window of one or two minutes in which a counter begins or ends to grow.
_TOLERANCE_OF_SUMS = 0.15
# Recorded rates over five minutes are compared so long after the service's start: all that was caused lies in them.
_WINDOW_SECONDS = 285

_MOST_SERIES = {
    "bargauge": 40,
    "gauge": 12,
    "geomap": 120,
    "piechart": 20,
    "stat": 12,
    "state-timeline": 30,
    "table": 120,
    "timeseries": 30,
}
"""By kind of panel, how many one can still read."""

_RIGHTLY_ZERO = {
    "operational 1F": "no gRPC method fails for a reason that is the service's",
    "operational 1G": "nobody waits for a database connection",
    "operational 1H": "no dependency is down",
    "operational 5B": "no gRPC method fails for a reason that is the service's",
    "operational 4B": "nobody waits for a database connection",
    "operational 26C": "no operation of the database is slow",
    "operational 32E": "Redis has room",
    "operational 32F": "Redis takes every connection",
    "operational 31B": "no work waits for a thread",
    "operational 34A": "no container restarts",
    "security 24A": "no audit record is missing",
    "security 2C": "no login ends in an error",
    "security 27C": "no login ends in an error",
    "security 28C": "there is room for every address that fails",
    "security 8C": "no audit record is missing",
    "security 32B": "no audit record is missing",
    "monitoring 1A": "every target is up",
    "monitoring 3C": "the Collector refuses nothing",
    "monitoring 3D": "the Collector delivers everything",
    "monitoring 3E": "the Collector's queue takes everything",
    "monitoring 4A": "no rule fails",
    "monitoring 4B": "Prometheus keeps up with its rules",
    "monitoring 5B": "every notification arrives",
    "monitoring 23B": "nobody has silenced anything",
    "monitoring 24A": "every label has few values",
    "monitoring 28C": "no sample comes too late",
    "monitoring 36A": "the storage is whole",
}
"""Queries that give only zeros while nothing goes wrong, and why."""

_MOMENTARY = {
    "operational 4A": "connections are used for milliseconds",
    "operational 5D": "calls take milliseconds",
    "operational 28C": "the standby is mostly up to date",
    "security 22A": "who fails often does so in bursts",
    "business 5A": "most SLA events are met",
    "monitoring 2A": "a queue is mostly empty",
    "monitoring 29C": "what is in memory is written to a file when it is full",
    **{f"business 21{ref}": "scores are few" for ref in "ABCDE"},
}
"""Queries that may give only zeros, or not, as chance wants it."""


_FIGURES = ("business 1A", "business 1B", "business 1C", "business 1D", "business 10A", "business 24A")
"""Queries whose values a panel shows as big numbers."""


@dataclass(frozen=True)
class Red:
    """A cell or line that must turn red: of which scenario, query, and labels."""

    scenario: str
    key: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return f"{self.scenario}: {self.key}"


_REDS = (
    Red("attack", "security 5A", {"trust_security_incident_type": "credential_stuffing"}),
    Red("attack", "security 6A", {"client_address": "203.0.113.20"}),
    Red("database-down", "operational 8A", {"trust_dependency_name": "database"}),
    Red("database-down", "operational 1H", {"service_name": SERVICE}),
    Red("revenue-drop", "business 29A", {"service_name": SERVICE}),
)


@dataclass
class Seen:
    """What was seen of the dashboards in one life of the scene.

    Attributes:
        answers: To each query, while there is traffic.
        busy: The panels in the browser by dashboard, while there is traffic.
        quiet: The same on a phone, after the traffic.
        expected_totals: What the simulation caused.
        report: The same, against what Prometheus holds.
        at_rest: Answers after the traffic, for the whole life of the service.
        life: Seconds from the service's start to the end of its traffic, and of what came of it.
        recent: Answers right after that.
        figures: What a panel with big numbers shows of a query, and what Prometheus says at the same time.
        sums: Rates added up over that life.
        background: Requests of probes, of which the simulation does not know.
        red_before: Which cells were red before their scenario.
        red_after: Seconds after which cells turned red.
        logs: What explains it all.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    busy: dict[str, list[PanelState]] = field(default_factory=dict)
    quiet: dict[str, list[PanelState]] = field(default_factory=dict)
    report: Report | None = None
    expected_totals: Mapping[str, float] = field(default_factory=dict)
    at_rest: dict[str, Answer] = field(default_factory=dict)
    life: float = math.inf
    recent: dict[str, Answer] = field(default_factory=dict)
    figures: dict[str, tuple[str, Answer]] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    background: float = 0
    red_before: set[Red] = field(default_factory=set)
    red_after: dict[Red, float] = field(default_factory=dict)
    logs: str = ""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Lives through the scene once: traffic, then rest, then one scenario after the other."""
    seen = Seen()
    with environment(tmp_path_factory.mktemp("environment"), print) as running:
        try:
            _watch(running, seen)
        finally:
            seen.logs = _logs(running)
    return seen


@pytest.fixture
def seen(watched: Seen) -> Seen:
    """What was seen, with the logs beside it where a test fails."""
    print(watched.logs)
    return watched


def _watch(running: Environment, seen: Seen) -> None:
    url = running.addresses.prometheus
    with Asked(url) as asked, Preview(url, on_progress=print) as preview, Browser() as browser:
        time.sleep(max(0.0, running.began + _WARM_SECONDS - time.time()))
        seen.answers = {key: asked.ask(query, time.time() - running.began) for key, query in _QUERIES.items()}
        seen.busy = {uid: _look(browser, preview, uid, running.began, DESKTOP) for uid in _UIDS}

        report = running.stop_traffic()
        stopped = time.time()
        assert (report.unanswered, report.unexpected) == (0, {})
        seen.expected_totals = report.expected_totals
        seen.report = arrived(running.addresses, _of_service(report.expected_totals))
        last = _last_export(asked)
        seen.figures = _figures(asked, browser, preview, running.began, last)
        for key in AT_REST:
            # Beyond the last sample Prometheus would guess how the counters went on.
            seen.at_rest[key] = asked.at(_QUERIES[key].promql(last - running.began, SERVICE), last)
        seen.life = last - running.began
        # As late as the window still holds everything: the longer a counter has stood still, the less is drawn on.
        time.sleep(max(0.0, running.began + _WINDOW_SECONDS - time.time()))
        for key in RECENT:
            seen.recent[key] = asked.at(_QUERIES[key].promql(_ONE_POINT_SECONDS, SERVICE))
        time.sleep(max(0.0, stopped + _REST_SECONDS - time.time()))
        seen.quiet = {uid: _look(browser, preview, uid, running.began, PHONE) for uid in _UIDS}
        seen.sums = {key: asked.sum_over(_QUERIES[key], time.time() - running.began, SERVICE) for key in OVER_TIME}
        seen.background = _background(asked)

        for scenario in dict.fromkeys(red.scenario for red in _REDS):
            _suffer(running, asked, scenario, seen)


def _look(browser: Browser, preview: Preview, uid: str, began: float, width: int) -> list[PanelState]:
    span = {"from": f"{began * 1000:.0f}", "to": "now"}
    return browser.open(dashboard_url(preview.url, uid, query=span), width=width)


def _figures(
    asked: Asked, browser: Browser, preview: Preview, began: float, end: float
) -> dict[str, tuple[str, Answer]]:
    begin, end = round(began), round(end)
    figures = {}
    for uid in dict.fromkeys(_QUERIES[key].dashboard for key in _FIGURES):
        span = {"from": str(begin * 1000), "to": str(end * 1000)}
        shown = {each.id: each.text for each in browser.open(dashboard_url(preview.url, uid, query=span))}
        for key in _FIGURES:
            query = _QUERIES[key]
            if query.dashboard == uid:
                figures[key] = shown[query.panel], asked.at(query.promql(end - begin), end)
    return figures


def _of_service(expected_totals: Mapping[str, float]) -> dict[str, float]:
    """The selectors of one service: others have the same metrics."""
    matcher = f'service_name="{SERVICE}"'
    return {
        selector.replace("{", f"{{{matcher},", 1) if "{" in selector else f"{selector[:-1]}{{{matcher}}})": value
        for selector, value in expected_totals.items()
    }


def _last_export(asked: Asked) -> float:
    (moment,) = asked.at(f'max(timestamp(trust_otel_instance_up{{service_name="{SERVICE}"}}))').series
    return moment.last


def _background(asked: Asked) -> float:
    """Requests of routes that nobody calls but the service's own probes."""
    (requests,) = asked.at(
        f'sum(http_server_request_duration_seconds_count{{service_name="{SERVICE}",http_route=~"{BACKGROUND}"}})'
    ).series
    return requests.last


def _suffer(running: Environment, asked: Asked, scenario: str, seen: Seen) -> None:
    """Let a scenario happen, and note when the cells that must turn red do."""
    missing = [red for red in _REDS if red.scenario == scenario]
    seen.red_before |= {red for red in missing if _is_red(asked, red)}
    with running.scenario(scenario, _SCENARIO_SECONDS):
        began = time.monotonic()
        while missing and time.monotonic() - began < _SCENARIO_SECONDS:
            for red in [red for red in missing if _is_red(asked, red)]:
                seen.red_after[red] = time.monotonic() - began
                missing.remove(red)
            time.sleep(0.5)


def _is_red(asked: Asked, red: Red) -> bool:
    query = _QUERIES[red.key]
    answer = asked.at(query.promql(_SHOWN_SECONDS))
    return any(
        query.is_red(series.last)
        for series in answer.series
        if all(series.labels.get(name) == value for name, value in red.labels.items())
    )


def _logs(running: Environment) -> str:
    logs = {each.name: running.stack.logs(each.name, lines=15) for each in running.stack.status()}
    logs["service"] = "\n".join(running.service.log.read_text(errors="replace").splitlines()[-30:])
    return "\n".join(f"log of {name}:\n{text}" for name, text in logs.items())


@pytest.mark.parametrize("uid", _UIDS)
def test_every_query_answers_in_time_and_prometheus_has_nothing_to_say_against_it(seen: Seen, uid: str) -> None:
    wrong = {
        key: answer.error or answer.notes or f"{answer.seconds:.1f} s"
        for key, answer in _of(uid, seen.answers).items()
        if answer.error or answer.complaints or too_slow(answer)
    }
    assert wrong == {}


@pytest.mark.parametrize("uid", _UIDS)
def test_every_query_gives_series_and_no_more_than_one_can_read(seen: Seen, uid: str) -> None:
    numbers = {key: len(answer.series) for key, answer in _of(uid, seen.answers).items()}
    wrong = {key: found for key, found in numbers.items() if not 1 <= found <= _MOST_SERIES[_QUERIES[key].kind]}
    assert wrong == {}


@pytest.mark.parametrize("uid", _UIDS)
def test_every_query_gives_something_else_than_zero(seen: Seen, uid: str) -> None:
    zeros = {key for key, answer in _of(uid, seen.answers).items() if answer.is_zero}
    assert zeros <= _RIGHTLY_ZERO.keys() | _MOMENTARY.keys()


def test_what_may_be_zero_is_the_query_of_a_panel() -> None:
    assert (_RIGHTLY_ZERO.keys() | _MOMENTARY.keys()) - _QUERIES.keys() == set()


def test_prometheus_holds_what_the_simulation_caused(seen: Seen) -> None:
    assert seen.report is not None
    assert seen.report.different == []


@pytest.mark.parametrize("key", AT_REST)
def test_the_panel_shows_what_the_simulation_caused(seen: Seen, key: str) -> None:
    caused = AT_REST[key]
    expected = caused.of(seen.expected_totals)
    answer = seen.at_rest[key]
    shown = {tuple(series.labels.get(name, "") for name in caused.by): series.last for series in answer.series}
    assert expected != {}
    assert {labels: shown.get(labels, 0.0) for labels in expected} == {
        labels: pytest.approx(value, rel=_TOLERANCE, abs=1) for labels, value in expected.items()
    }
    assert {labels for labels, value in shown.items() if value > 0 and not math.isnan(value)} <= expected.keys()


@pytest.mark.parametrize("key", RECENT)
def test_the_recorded_rate_is_that_of_what_the_simulation_caused(seen: Seen, key: str) -> None:
    assert seen.life < _WINDOW_SECONDS
    caused = RECENT[key]
    answer = seen.recent[key]
    shown = {tuple(series.labels.get(name, "") for name in caused.by): series.last for series in answer.series}
    expected = caused.of(seen.expected_totals)
    relative = 0 if isinstance(caused, Share) else _TOLERANCE_OF_RATES
    assert expected != {}
    assert {labels: shown.get(labels) for labels in expected} == {
        labels: pytest.approx(value, rel=relative, abs=_TOLERANCE_OF_SHARES) for labels, value in expected.items()
    }


@pytest.mark.parametrize("key", OVER_TIME)
def test_the_rate_added_up_over_time_is_what_the_simulation_caused(seen: Seen, key: str) -> None:
    caused, with_background = OVER_TIME[key]
    expected = sum(caused.of(seen.expected_totals).values()) + (seen.background if with_background else 0)
    assert seen.sums[key] == pytest.approx(expected, rel=_TOLERANCE_OF_SUMS)


@pytest.mark.parametrize("uid", _UIDS)
def test_no_panel_is_empty_in_the_browser_while_people_use_the_service(seen: Seen, uid: str) -> None:
    _assert_filled(seen.busy[uid])


@pytest.mark.parametrize("uid", _UIDS)
def test_no_panel_is_empty_on_a_phone_while_nobody_uses_the_service(seen: Seen, uid: str) -> None:
    _assert_filled(seen.quiet[uid])


@pytest.mark.parametrize("key", _FIGURES)
def test_big_numbers_are_those_of_prometheus(seen: Seen, key: str) -> None:
    text, answer = seen.figures[key]
    found = numbers_in(text)
    values = [series.last for series in answer.series]
    assert values != []
    # Three digits are shown.
    missing = [value for value in values if not any(math.isclose(value, each, rel_tol=0.006) for each in found)]
    assert missing == [], text


@pytest.mark.parametrize("red", _REDS, ids=str)
def test_what_the_fault_is_about_turns_red_within_half_a_minute(seen: Seen, red: Red) -> None:
    assert red not in seen.red_before
    assert seen.red_after.get(red, math.inf) <= _RED_SECONDS


def _assert_filled(panels: list[PanelState]) -> None:
    assert panels != []
    assert [(each.id, each.title, each.state, each.error) for each in panels if each.state != "ok"] == []
    assert [(each.id, each.title) for each in panels if "No data" in each.text] == []


def _of(uid: str, by_key: Mapping[str, T]) -> dict[str, T]:
    """Those of a dashboard."""
    return {key: value for key, value in by_key.items() if _QUERIES[key].dashboard == uid}
