"""The dashboards with the whole stack: no query fails, no panel is empty, values are exact, and faults are red."""

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
from testbed.screenshots.environment import ENVIRONMENT, SERVICE, Environment, environment
from tests.support.dashboards import FILES, Answer, PanelQueries, numbers_in, queries, too_slow
from tests.support.expected_values import AT_REST, BACKGROUND, OVER_TIME, RECENT, RECORDED, Share
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

# After this time every rate window is full, and every operation was executed more than once.
_WARM_SECONDS = 150
# After this time the two-minute windows contain no traffic.
_REST_SECONDS = 140
_SCENARIO_SECONDS = 40
_RED_SECONDS = 30
_SHOWN_SECONDS = 3600
# Counters are read from before their first to their last sample: only rounding differs.
_TOLERANCE = 0.01
# Time range in which a panel's sums of recorded rates have one point.
_ONE_POINT_SECONDS = 61
# Prometheus extrapolates to the edges of a window, by less than one export interval. Series that started late count
# too much.
_TOLERANCE_OF_RATES, _TOLERANCE_OF_SHARES = 0.12, 0.03
# The same for every window of one or two minutes in which a counter starts or stops increasing.
_TOLERANCE_OF_SUMS = 0.15
# Recorded five-minute rates are compared this long after the service's start, while they still cover all traffic.
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
"""Maximum number of readable series by panel type."""

_EXPECTED_ZERO = {
    "operational 1F": "no gRPC method fails with a server error",
    "operational 1G": "no request waits for a database connection",
    "operational 1H": "no dependency is down",
    "operational 5B": "no gRPC method fails with a server error",
    "operational 4B": "no request waits for a database connection",
    "operational 4C": "no request times out waiting for a database connection",
    "operational 26C": "no database operation is slow",
    "operational 32E": "Redis evicts no keys",
    "operational 32F": "Redis rejects no connection",
    "operational 31B": "no task waits for a thread",
    "operational 34A": "no container restarts",
    "operational 35G": "no request waits for a database connection",
    "operational 35H": "no dependency is down",
    "operational 37A": "no certificate is expiring",
    "operational 38C": "no certificate operation ends in an error",
    "operational 40A": "no connection to a database fails",
    "operational 40B": "every database answers its checks",
    "operational 42A": "no packet of a host has errors",
    "operational 42B": "no packet of a pod has errors",
    "operational 42C": "every node has a network",
    "security 24A": "no audit record is missing",
    "security 2C": "no login ends in an error",
    "security 27C": "no login ends in an error",
    "security 28C": "there is capacity for every failing address",
    "security 8C": "no audit record is missing",
    "security 25B": "every control is checked",
    "security 32B": "no audit record is missing",
    "pki 1B": "no revocation waits for long",
    "pki 5E": "every response is verified",
    "pki 10B": "no certificate is due for renewal",
    "pki 34A": "no key is used outside its policy",
    "pki 36A": "operations take milliseconds",
    "pki 40A": "every signature is valid",
    "pki 3A": "no pending revocation is near its deadline",
    "pki 4A": "every list is current",
    "pki 5A": "every response is current",
    "pki 8A": "no rollover is due",
    "pki 10C": "no certificate has expired",
    "pki 10D": "no certificate of the service is revoked",
    "pki 22B": "no revocation is late",
    "pki 32A": "no operation of the HSM fails",
    "pki 37B": "every slot has its token",
    "pki 45A": "no certificate is unknown",
    "monitoring 1A": "every target is up",
    "monitoring 2B": "no queue file is damaged",
    "monitoring 3C": "the Collector refuses no data",
    "monitoring 3D": "the Collector delivers all data",
    "monitoring 3E": "the Collector's queue accepts all data",
    "monitoring 4A": "no rule evaluation fails",
    "monitoring 4B": "no rule evaluation is skipped",
    "monitoring 5B": "no notification fails",
    "monitoring 23B": "there are no silences",
    "monitoring 24A": "no label exceeds its limit",
    "monitoring 28C": "no sample is too old",
    "monitoring 36A": "the storage is not corrupted",
}
"""Queries that return only zeros in normal operation, with the reason."""

_SOMETIMES_ZERO = {
    "operational 1D": "few requests fail, and the window is two minutes",
    "operational 3B": "few requests fail",
    "operational 4A": "connections are used for milliseconds",
    "operational 4E": "connections are used for milliseconds",
    "operational 5D": "calls take milliseconds",
    "operational 9A": "the traffic may raise no alert",
    "operational 28C": "the standby is usually up to date",
    "operational 35A": "few requests fail",
    "operational 35F": "connections are used for milliseconds",
    "security 22A": "failures of an address occur in bursts",
    "business 5A": "SLAs are usually met",
    "business 3C": "SLAs are usually met, and nothing else is refunded",
    "business 20C": "SLAs are usually met, and nothing else is refunded",
    "business 28B": "other tests may use all of the CPU, and then no day is left",
    "monitoring 2A": "the queue is usually empty",
    "monitoring 29C": "memory is flushed to a file only when it is full",
    "pki 1E": "the clock is right",
    "pki 3B": "revocations are pending for seconds",
    "pki 9A": "few validations do not pass",
    "pki 14A": "revocations are pending for seconds",
    "pki 18A": "the clock is right",
    "pki 1F": "timestamps fail only for the load's bad requests",
    "pki 1G": "few validations are INDETERMINATE",
    "pki 2A": "certificates are usually far from their renewal",
    "pki 6A": "the clock is right",
    **{f"business 21{ref}": "ratings are rare" for ref in "ABCDE"},
}
"""Queries that may randomly return only zeros, with the reason."""


_LATE = {
    "operational 22B": "the budget left is computed from values at multiples of five minutes",
    "pki 7B": "no timestamp need fail so early",
}
"""Queries that may have no result in the first minutes of a service, with the reason."""

_ABSENT = {
    "pki 4F": "no list has a number of the day before",
    "pki 33A": "SoftHSM limits no sessions",
    "pki 35A": "one person may create a key",
    "pki 35B": "one person may create a key",
    "pki 35C": "one person may create a key",
    "pki 36B": "SoftHSM reports no free memory",
    "pki 36C": "SoftHSM reports no free memory",
    "pki 46A": "the CA is in no log of certificate transparency",
    "pki 47A": "the CA is no ACME server",
    "pki 48A": "the CA is no ACME server",
}
"""Queries about what the example service does not have, with the reason."""

_UNMEASURED = {
    35: "Key approvals",
    46: "Issued with fewer than 2 SCTs",
    47: "ACME orders that fail",
    48: "ACME challenges",
}
"""Panels of the PKI dashboard that say how to measure what the example service does not have."""

_FIGURES = ("business 1A", "business 1B", "business 1C", "business 1D", "business 24A")
"""Queries displayed as big numbers."""


@dataclass(frozen=True)
class Red:
    """A cell or line that must turn red: its scenario, query and labels."""

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
    """Observations of the dashboards in one run of the environment.

    Attributes:
        answers: Result of each query during the traffic.
        busy: The panels in the browser by dashboard, during the traffic.
        quiet: The same on a phone, after the traffic.
        expected_totals: Expected totals of the load generator.
        report: Comparison of these totals with Prometheus.
        at_rest: Results after the traffic, for the whole run of the service.
        life: Seconds from the service's start to the last export of its traffic.
        recent: Results right after that.
        figures: Text of a big number in the browser, and the query's result at the same time.
        sums: Rates summed over that time.
        background: Requests of probes, which are not in the expected totals.
        red_before: Cells that were red before their scenario.
        red_after: Seconds until cells turned red.
        logs: Logs of all components.
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
def observed(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Runs the environment once: with traffic, without traffic, then with each scenario."""
    seen = Seen()
    with environment(tmp_path_factory.mktemp("environment"), print) as running:
        try:
            _watch(running, seen)
        finally:
            seen.logs = _logs(running)
    return seen


@pytest.fixture
def seen(observed: Seen) -> Seen:
    """The observations; a failed test shows the logs."""
    print(observed.logs)
    return observed


def _watch(running: Environment, seen: Seen) -> None:
    url = running.addresses.prometheus
    with PanelQueries(url, ENVIRONMENT) as asked, Preview(url, on_progress=print) as preview, Browser() as browser:
        time.sleep(max(0.0, running.began + _WARM_SECONDS - time.time()))
        seen.answers = {key: asked.ask(query, time.time() - running.began) for key, query in _QUERIES.items()}
        seen.busy = {uid: _panels_in_browser(browser, preview, uid, running.began, DESKTOP) for uid in _UIDS}

        report = running.stop_traffic()
        stopped = time.time()
        assert (report.unanswered, report.unexpected) == (0, {})
        seen.expected_totals = report.expected_totals
        seen.report = arrived(running.addresses, _of_service(report.expected_totals))
        last = _last_export(asked)
        seen.figures = _figures(asked, browser, preview, running.began, last)
        for key in AT_REST:
            # Prometheus would extrapolate the counters beyond the last sample.
            seen.at_rest[key] = asked.at(_QUERIES[key].promql(last - running.began, ENVIRONMENT, SERVICE), last)
        seen.life = last - running.began
        # As late as the window still covers all traffic: extrapolation decreases with the time without increase.
        time.sleep(max(0.0, running.began + _WINDOW_SECONDS - time.time()))
        for key in RECENT:
            seen.recent[key] = asked.at(_QUERIES[key].promql(_ONE_POINT_SECONDS, ENVIRONMENT, SERVICE))
        time.sleep(max(0.0, stopped + _REST_SECONDS - time.time()))
        for key in RECORDED:
            seen.at_rest[key] = asked.at(_QUERIES[key].promql(time.time() - running.began, ENVIRONMENT, SERVICE))
        seen.quiet = {uid: _panels_in_browser(browser, preview, uid, running.began, PHONE) for uid in _UIDS}
        seen.sums = {key: asked.sum_over(_QUERIES[key], time.time() - running.began, SERVICE) for key in OVER_TIME}
        seen.background = _background(asked)

        for scenario in dict.fromkeys(red.scenario for red in _REDS):
            _run_scenario(running, asked, scenario, seen)


def _panels_in_browser(browser: Browser, preview: Preview, uid: str, began: float, width: int) -> list[PanelState]:
    span = {"from": f"{began * 1000:.0f}", "to": "now"}
    return browser.open(dashboard_url(preview.url, uid, query=span), width=width)


def _figures(
    asked: PanelQueries, browser: Browser, preview: Preview, began: float, end: float
) -> dict[str, tuple[str, Answer]]:
    begin, end = round(began), round(end)
    figures = {}
    for uid in dict.fromkeys(_QUERIES[key].dashboard for key in _FIGURES):
        span = {"from": str(begin * 1000), "to": str(end * 1000)}
        shown = {each.id: each.text for each in browser.open(dashboard_url(preview.url, uid, query=span))}
        for key in _FIGURES:
            query = _QUERIES[key]
            if query.dashboard == uid:
                figures[key] = shown[query.panel], asked.at(query.promql(end - begin, ENVIRONMENT), end)
    return figures


def _of_service(expected_totals: Mapping[str, float]) -> dict[str, float]:
    """The selectors with the service's label: other services have the same metrics."""
    matcher = f'service_name="{SERVICE}"'
    return {
        selector.replace("{", f"{{{matcher},", 1) if "{" in selector else f"{selector[:-1]}{{{matcher}}})": value
        for selector, value in expected_totals.items()
    }


def _last_export(asked: PanelQueries) -> float:
    """When the counters were last collected; other instruments of the same export are some milliseconds older."""
    counters = {total.metric.prometheus_name for total in AT_REST.values()}
    answers = [asked.at(f'max(timestamp({counter}{{service_name="{SERVICE}"}}))') for counter in counters]
    return max(moment.last for answer in answers for moment in answer.series)


def _background(asked: PanelQueries) -> float:
    """Requests to routes that only probes call."""
    (requests,) = asked.at(
        f'sum(http_server_request_duration_seconds_count{{service_name="{SERVICE}",http_route=~"{BACKGROUND}"}})'
    ).series
    return requests.last


def _run_scenario(running: Environment, asked: PanelQueries, scenario: str, seen: Seen) -> None:
    """Run a scenario, and record when its cells turn red."""
    missing = [red for red in _REDS if red.scenario == scenario]
    seen.red_before |= {red for red in missing if _is_red(asked, red)}
    with running.scenario(scenario, _SCENARIO_SECONDS):
        began = time.monotonic()
        while missing and time.monotonic() - began < _SCENARIO_SECONDS:
            for red in [red for red in missing if _is_red(asked, red)]:
                seen.red_after[red] = time.monotonic() - began
                missing.remove(red)
            time.sleep(0.5)


def _is_red(asked: PanelQueries, red: Red) -> bool:
    query = _QUERIES[red.key]
    answer = asked.at(query.promql(_SHOWN_SECONDS, ENVIRONMENT))
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
def test_every_query_succeeds_in_time_without_warnings(seen: Seen, uid: str) -> None:
    wrong = {
        key: answer.error or answer.notes or f"{answer.seconds:.1f} s"
        for key, answer in _of(uid, seen.answers).items()
        if answer.error or answer.complaints or too_slow(answer)
    }
    assert wrong == {}


@pytest.mark.parametrize("uid", _UIDS)
def test_every_query_returns_series_but_not_too_many(seen: Seen, uid: str) -> None:
    numbers = {key: len(answer.series) for key, answer in _of(uid, seen.answers).items()}
    wrong = {
        key: found
        for key, found in numbers.items()
        if not (0 if key in _LATE or key in _ABSENT else 1) <= found <= _MOST_SERIES[_QUERIES[key].kind]
    }
    assert wrong == {}


@pytest.mark.parametrize("uid", _UIDS)
def test_every_query_returns_values_other_than_zero(seen: Seen, uid: str) -> None:
    zeros = {key for key, answer in _of(uid, seen.answers).items() if answer.is_zero}
    assert zeros <= _EXPECTED_ZERO.keys() | _SOMETIMES_ZERO.keys()


def test_queries_that_may_be_zero_exist() -> None:
    assert (_EXPECTED_ZERO.keys() | _SOMETIMES_ZERO.keys()) - _QUERIES.keys() == set()


def test_prometheus_has_the_expected_totals(seen: Seen) -> None:
    assert seen.report is not None
    assert seen.report.different == []


@pytest.mark.parametrize("key", [*AT_REST, *RECORDED])
def test_the_panel_shows_the_expected_totals(seen: Seen, key: str) -> None:
    total = {**AT_REST, **RECORDED}[key]
    expected = total.of(seen.expected_totals)
    answer = seen.at_rest[key]
    shown = {tuple(series.labels.get(name, "") for name in total.by): series.last for series in answer.series}
    rounding = _TOLERANCE_OF_SHARES if isinstance(total, Share) else 1
    assert expected != {}
    assert {labels: shown.get(labels, 0.0) for labels in expected} == {
        labels: pytest.approx(value, rel=_TOLERANCE, abs=rounding) for labels, value in expected.items()
    }
    # The load generator knows the shares of some SLAs only.
    if not isinstance(total, Share):
        assert {labels for labels, value in shown.items() if value > 0 and not math.isnan(value)} <= expected.keys()


@pytest.mark.parametrize("key", RECENT)
def test_the_recorded_rate_is_that_of_the_expected_totals(seen: Seen, key: str) -> None:
    assert seen.life < _WINDOW_SECONDS
    total = RECENT[key]
    answer = seen.recent[key]
    shown = {tuple(series.labels.get(name, "") for name in total.by): series.last for series in answer.series}
    expected = total.of(seen.expected_totals)
    relative = 0 if isinstance(total, Share) else _TOLERANCE_OF_RATES
    assert expected != {}
    assert {labels: shown.get(labels) for labels in expected} == {
        labels: pytest.approx(value, rel=relative, abs=_TOLERANCE_OF_SHARES) for labels, value in expected.items()
    }


@pytest.mark.parametrize("key", OVER_TIME)
def test_the_rate_summed_over_time_is_the_expected_total(seen: Seen, key: str) -> None:
    total, with_background = OVER_TIME[key]
    expected = sum(total.of(seen.expected_totals).values()) + (seen.background if with_background else 0)
    assert seen.sums[key] == pytest.approx(expected, rel=_TOLERANCE_OF_SUMS)


@pytest.mark.parametrize("uid", _UIDS)
def test_no_panel_is_empty_in_the_browser_during_traffic(seen: Seen, uid: str) -> None:
    _assert_filled(seen.busy[uid])


@pytest.mark.parametrize("uid", _UIDS)
def test_no_panel_is_empty_on_a_phone_without_traffic(seen: Seen, uid: str) -> None:
    _assert_filled(seen.quiet[uid])


@pytest.mark.parametrize("key", _FIGURES)
def test_big_numbers_are_those_of_prometheus(seen: Seen, key: str) -> None:
    text, answer = seen.figures[key]
    found = numbers_in(text)
    values = [series.last for series in answer.series]
    assert values != []
    # Grafana shows three digits.
    missing = [value for value in values if not any(math.isclose(value, each, rel_tol=0.006) for each in found)]
    assert missing == [], text


@pytest.mark.parametrize("red", _REDS, ids=str)
def test_the_fault_is_red_within_half_a_minute(seen: Seen, red: Red) -> None:
    assert red not in seen.red_before
    assert seen.red_after.get(red, math.inf) <= _RED_SECONDS


def _assert_filled(panels: list[PanelState]) -> None:
    assert panels != []
    unfilled = [each for each in panels if each.state != "ok" and _UNMEASURED.get(each.id) != each.title]
    assert [(each.id, each.title, each.state, each.error) for each in unfilled] == []
    assert [(each.id, each.title) for each in panels if "No data" in each.text] == []


def _of(uid: str, by_key: Mapping[str, T]) -> dict[str, T]:
    """The items of a dashboard."""
    return {key: value for key, value in by_key.items() if _QUERIES[key].dashboard == uid}
