"""The dashboards over three services in two environments with fifty instances each: one is bad, one was killed."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from testbed.fleet import (
    BAD_INSTANCE,
    ENVIRONMENTS,
    GONE_INSTANCE,
    GONE_SECONDS,
    SERVICES,
    SHOWN_SECONDS,
    WITHOUT_ENVIRONMENT,
)
from testbed.fleet.infrastructure import BAD_NODE
from tests.contract.rule_files import ALERTS
from tests.support.dashboards import FILES, Answer, PanelQueries, Query, Series, queries, too_slow
from tests.support.fleet import Fleet, fleet
from tests.support.grafana_versions import CURRENT, NEWEST, OLDEST, Panels, computed, links, tables
from tools.checks.variables import as_sent

pytestmark = pytest.mark.timeout(600)

_QUERIES = {query.key: query for query in queries()}
_OF_SERVICES = [key for key, query in _QUERIES.items() if "$environment" in query.expression]
_RESULT = re.compile(r"query_result\((.+)\)", re.DOTALL)

_MOST_SERIES = {
    "bargauge": 20,
    "geomap": 60,
    "piechart": 12,
    "stat": 12,
    "state-timeline": 20,
    "table": 60,
    "timeseries": 20,
}
"""Maximum number of lines, bars, rows or values of a panel, by panel type."""

_ALIKE = {
    "business 29A": "the volume is steady",
    "business 5C": "a service without an SLA of its own has the backfilled ratio",
    "business 25A": "costs and documents both grow with the load",
    "business 26A": "documents and CPU time both grow with the load",
    "business 28A": "the pools do not grow",
    "monitoring 6A": "both environments have the same metrics",
    "monitoring 7A": "every source is readable",
    "monitoring 7C": "dependencies are checked equally often",
    "monitoring 20A": "every service reports",
    "operational 1B": "both environments have 50 instances of each service",
    "operational 4D": "the pools have the same size",
    "operational 37A": "no certificate expires within a week",
    "operational 37C": "most of the life of the certificates is left",
    "operational 38C": "no certificate operation ends in an error",
    "operational 40A": "no connection fails",
    "operational 8A": "another dependency is up",
    "operational 21C": "no request fails because of its client",
    "operational 22A": "both environments have the same objectives",
    "operational 22B": "little of a budget is used",
    "pki 2A": "a certificate expires soon in both environments",
    "pki 4F": "no number of a list decreases",
    "pki 5A": "every OCSP response is current",
    "pki 8A": "a rollover is due in both environments",
    "security 4B": "no request is answered with 429",
    "security 4C": "no request is answered with 403",
    "security 8D": "only some records are missing in staging",
    "security 25B": "every control is checked",
    "security 30A": "every source is readable",
    "security 31B": "no call is denied",
    **{f"security 34{ref}": "every service measures the same" for ref in "ABCDEFG"},
}
"""Queries with about the same result in both environments, with the reason."""

_ONE_SERVICE = SERVICES[0]

# These tests are skipped without Node.js, except in CI, where they fail.
_needs_node = pytest.mark.skipif(
    any(shutil.which(command) is None for command in ("node", "npm")) and "CI" not in os.environ,
    reason="Node.js or npm is not on this machine",
)

_ALERTS_OF_AN_INSTANCE = (
    "TrustServiceHighLatency",
    "TrustServiceHighErrorRate",
    "TrustDatabaseConnectionProblems",
)
"""Alerts that one bad instance can cause."""


@dataclass(frozen=True)
class Seen:
    """The results of all queries by environment, and of the variables' queries."""

    answers: Mapping[str, Mapping[str, Answer]]
    environments: list[tuple[str, str]]
    instances: list[tuple[str, str]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("fleet")) as started:
        yield started


@pytest.fixture(scope="module")
def seen(running: Fleet) -> Seen:
    answers = {each: _answers(running, each) for each in (*ENVIRONMENTS, "")}
    return Seen(answers, _options(running, "environment"), _options(running, "instance"))


@pytest.fixture(scope="module")
def versions(running: Fleet) -> dict[str, Panels]:
    """The panels of one service, by version of Grafana."""
    return computed(running, {"environment": ["production"], "service": [_ONE_SERVICE]})


def _answers(running: Fleet, environment: str) -> dict[str, Answer]:
    with PanelQueries(running.url, environment) as asked:
        return {key: asked.ask(query, SHOWN_SECONDS, end=running.end) for key, query in _QUERIES.items()}


def _options(running: Fleet, name: str) -> list[tuple[str, str]]:
    """Text and value of the options of a variable, as Grafana reads them from the result of a query."""
    dashboard = json.loads(FILES[0].read_text())
    (variable,) = [each for each in dashboard["templating"]["list"] if each["name"] == name]
    query = _RESULT.fullmatch(variable["query"]["query"])
    assert query is not None
    pattern = re.compile(variable["regex"].strip("/").replace("(?<", "(?P<"))
    sent = as_sent(query[1], seconds=SHOWN_SECONDS, step_seconds=15)
    with PanelQueries(running.url) as asked:
        answer = asked.at(sent, running.end)
    assert answer.error == ""
    found = [pattern.search(_as_text(series)) for series in answer.series]
    assert None not in found
    return [_option(match) for match in found if match is not None]


def _as_text(series: Series) -> str:
    pairs = ",".join(f'{name}="{value}"' for name, value in sorted(series.labels.items()))
    return f"{{{pairs}}} {series.last:g} 0"


def _option(match: re.Match[str]) -> tuple[str, str]:
    named = match.groupdict()
    return (named["text"], named["value"]) if named else (match[1], match[1])


def test_every_query_succeeds_in_time_without_warnings(seen: Seen) -> None:
    wrong = {
        key: answer.error or answer.notes or f"{answer.seconds:.1f} s"
        for key, answer in seen.answers["production"].items()
        if answer.error or answer.complaints or too_slow(answer)
    }
    assert wrong == {}


def test_no_query_is_empty(seen: Seen) -> None:
    assert " ".join(key for key, answer in seen.answers["production"].items() if not answer.series) == ""


def test_no_panel_has_more_series_than_can_be_read(seen: Seen) -> None:
    numbers: Counter[tuple[str, int, str]] = Counter()
    for key, answer in seen.answers["production"].items():
        query = _QUERIES[key]
        # The queries of a table are its columns.
        place = (query.dashboard, query.panel, query.kind)
        numbers[place] = (
            max(numbers[place], len(answer.series)) if query.kind == "table" else (numbers[place] + len(answer.series))
        )
    assert {place: found for place, found in numbers.items() if found > _MOST_SERIES[place[2]]} == {}


def test_the_environment_has_its_own_values(seen: Seen) -> None:
    alike = []
    for key in _OF_SERVICES:
        production, staging = (_largest(seen.answers[each][key]) for each in ENVIRONMENTS)
        if production is not None and staging is not None and math.isclose(production, staging, rel_tol=0.1):
            alike.append(key)
    assert " ".join(sorted(set(alike) - _ALIKE.keys())) == ""
    assert _ALIKE.keys() - _QUERIES.keys() == set()


def test_no_series_is_of_another_environment(seen: Seen) -> None:
    others = {
        key: series.labels
        for key in _OF_SERVICES
        for series in seen.answers["production"][key].series
        if series.labels.get("deployment_environment_name", "production") != "production"
    }
    assert others == {}


def test_requests_are_those_of_the_environment(seen: Seen) -> None:
    (requests,) = seen.answers["production"]["operational 2E"].series
    assert requests.last == pytest.approx((len(SERVICES) * 50 - 1) * 4, rel=0.001)


def test_environments_are_listed_by_size_and_the_unset_one_is_empty(seen: Seen) -> None:
    values = [value for _, value in seen.environments]
    assert sorted(values[:2]) == sorted(ENVIRONMENTS)
    assert values[2:] == [""]


def test_a_service_without_an_environment_is_found(seen: Seen) -> None:
    shown = _instance_names(seen.answers[""]["operational 30A"])
    assert [name.split()[0] for name in shown] == [WITHOUT_ENVIRONMENT.pod]


def test_instances_are_chosen_by_pod(seen: Seen) -> None:
    assert len(seen.instances) == len(SERVICES) * 50
    assert (f"{BAD_INSTANCE.pod} {BAD_INSTANCE.id[:8]}", BAD_INSTANCE.id) in seen.instances


def test_instances_have_short_names(seen: Seen) -> None:
    names = {name for answer in seen.answers["production"].values() for name in _instance_names(answer)}
    assert names
    assert [name for name in names if re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", name)] == []


@pytest.mark.parametrize("alert", _ALERTS_OF_AN_INSTANCE)
def test_the_panel_of_an_alert_shows_the_bad_instance_as_worst(seen: Seen, alert: str) -> None:
    assert _worst_instance(seen, *_panel_of(alert)) == BAD_INSTANCE.pod


@pytest.mark.parametrize("key", [f"operational 35{ref}" for ref in "ABCDEFGH"])
def test_the_bad_instance_is_worst_in_each_column(seen: Seen, key: str) -> None:
    answer = seen.answers["production"][key]
    assert _worst(answer).split()[0] == BAD_INSTANCE.pod


@pytest.mark.parametrize("key", ["operational 29A", "operational 30A"])
def test_the_bad_instance_is_above_the_median(seen: Seen, key: str) -> None:
    answer = seen.answers["production"][key]
    assert _worst(answer).split()[0] == BAD_INSTANCE.pod
    medians = seen.answers["production"][key.replace("A", "B")].series
    assert {each.labels["service_name"] for each in medians} == set(SERVICES)
    assert max(each.last for each in medians) < max(each.last for each in answer.series) / 2


@pytest.mark.parametrize("key", ["operational 7A", "operational 7B", "operational 7C", "business 27B"])
def test_the_bad_host_is_shown(seen: Seen, key: str) -> None:
    worst = max(seen.answers["production"][key].series, key=lambda each: each.last)
    assert worst.labels["instance"].startswith(BAD_NODE)


def test_a_node_that_is_not_ready_is_shown(seen: Seen) -> None:
    states = {each.labels["node"]: each.last for each in seen.answers["production"]["operational 33A"].series}
    assert [node for node, ready in states.items() if ready == 0] == [BAD_NODE]


def test_the_killed_instance_is_the_one_last_seen_longest_ago(seen: Seen) -> None:
    answer = seen.answers["production"]["operational 36A"]
    assert _worst(answer).split()[0] == GONE_INSTANCE.pod
    assert max(each.last for each in answer.series) == pytest.approx(GONE_SECONDS, abs=1)


def test_the_container_that_restarts_is_shown(seen: Seen) -> None:
    worst = max(seen.answers["production"]["operational 34A"].series, key=lambda each: each.last)
    assert worst.labels["pod"] == BAD_INSTANCE.pod


@_needs_node
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_versions_of_grafana_show_the_same(versions: dict[str, Panels], version: str) -> None:
    """Columns, texts, units, colours by value, and links."""
    assert len(versions[CURRENT]) > 90
    differing = {key for key, panel in versions[CURRENT].items() if versions[version][key] != panel}
    assert not differing
    assert not [panel["error"] for panel in versions[version].values() if "error" in panel]


@_needs_node
@pytest.mark.parametrize("version", [OLDEST, CURRENT, NEWEST])
def test_tables_have_their_columns_in_order(versions: dict[str, Panels], version: str) -> None:
    found = list(tables(versions[version]))
    assert len(found) > 25
    for table in found:
        # A label that no series has is no column.
        assert list(table.columns) == [each for each in table.headings if each in table.columns]
        assert table.columns.keys() >= set(table.value_headings)
        overridden = {each["matcher"]["options"] for each in table.panel["fieldConfig"]["overrides"]}
        assert overridden <= set(table.headings)


@_needs_node
@pytest.mark.parametrize("version", [OLDEST, CURRENT, NEWEST])
def test_links_of_cells_keep_the_variables(versions: dict[str, Panels], version: str) -> None:
    found = [urlsplit(each) for each in links(versions[version])]
    panels = [parse_qs(each.query, keep_blank_values=True) for each in found if each.path.startswith("/d/")]
    assert len(panels) > 10
    for query in panels:
        assert query["var-environment"] == ["production"]
        assert query["var-service"] == [_ONE_SERVICE]
        assert query["var-instance"] == ["$__all"]
        assert query["viewPanel"][0].isdigit()


@_needs_node
def test_a_column_without_results_stays_in_its_table(running: Fleet) -> None:
    """Grafana names the value of each query, if there are several, whether or not it has a result."""
    versions = computed(running, {"environment": ["production"], "service": ["a service & others"]})
    assert versions[OLDEST] == versions[CURRENT] == versions[NEWEST]
    empty = [table for table in tables(versions[CURRENT]) if not any(table.columns.values())]
    assert len(empty) > 20
    for table in empty:
        assert list(table.columns) == table.value_headings
        assert len(table.columns) == len(table.panel["targets"])


def _panel_of(alert: str) -> tuple[str, int]:
    (url,) = {rule.annotations["dashboard_url"] for rule in ALERTS if rule.name == alert}
    parts: Any = urlsplit(url)
    return parts.path.removeprefix("/d/"), int(parse_qs(parts.query)["viewPanel"][0].removeprefix("panel-"))


def _worst_instance(seen: Seen, dashboard: str, panel: int) -> str:
    of_instances: list[Query] = [
        query
        for query in _QUERIES.values()
        if (query.dashboard, query.panel) == (dashboard, panel) and "instance_name" in query.expression
    ]
    (query,) = of_instances
    return _worst(seen.answers["production"][query.key]).split()[0]


def _worst(answer: Answer) -> str:
    worst = max(answer.series, key=lambda each: each.last)
    return worst.labels["instance_name"]


def _instance_names(answer: Answer) -> list[str]:
    return [each.labels["instance_name"] for each in answer.series if "instance_name" in each.labels]


def _largest(answer: Answer) -> float | None:
    return max((each.last for each in answer.series if not math.isnan(each.last)), default=None)
