"""The dashboard of single events queries what Loki makes of the events, and is bounded."""

import json
import re
from typing import Any, Final

import pytest

from tests.contract.rule_files import vocabulary
from tools.checks.promql import Selector, parse, walk
from tools.checks.variables import as_sent
from trust_ops.site_config import read_site
from trust_ops.site_config.dashboards import dashboards, published_file
from trust_otel.metrics.event import SCOPE
from trust_otel.semconv.events import ALL

_DASHBOARD: Final[dict[str, Any]] = json.loads(published_file("trust-service-security-events").read_bytes())
_QUERIES: Final = {
    (panel["id"], panel["type"]): target
    for panel in _DASHBOARD["panels"]
    for target in panel.get("targets", [])
    if target["datasource"]["type"] == "loki"
}
_FEEDS: Final = [target["expr"] for (_, kind), target in _QUERIES.items() if kind == "logs"]

_FIELDS: Final = {"scope_name", "severity_text", "trace_id"}
"""What Loki makes of the fields of a log record besides its attributes, and of its scope."""
_RESOURCE: Final = {"service_name", "service_instance_id", "deployment_environment_name"}
_ATTRIBUTES: Final = {attribute.label for event in ALL.values() for attribute in event.attributes}


def _labels(logql: str) -> set[str]:
    stages = re.findall(r"\b(\w+)(?:=~|!=|=)[\"`]", logql)
    return {*stages, *re.findall(r"\.(\w+)\s?}}", logql)}


@pytest.mark.parametrize("query", _QUERIES.values(), ids=lambda query: query["expr"][-20:])
def test_every_query_is_of_the_events_of_the_selected_services(query: dict[str, Any]) -> None:
    # Loki refuses a selector whose only matchers accept the empty value, such as `.*`.
    assert query["expr"].count('{service_name=~".+", service_name=~"$service"}') == 1
    for stage in (
        f'| scope_name="{SCOPE}"',
        '| deployment_environment_name="$environment"',
        '| service_instance_id=~"$instance"',
    ):
        assert stage in query["expr"]
    assert _labels(query["expr"]) <= _FIELDS | _RESOURCE | _ATTRIBUTES


def test_every_attribute_of_an_event_is_shown() -> None:
    assert len(_FEEDS) == 2
    assert _labels(" ".join(_FEEDS)) >= _ATTRIBUTES | {"trace_id", "severity_text", "service_name"}


def test_a_feed_shows_a_limited_number_of_events_and_says_so() -> None:
    for panel in _DASHBOARD["panels"]:
        if panel["type"] == "logs":
            (target,) = panel["targets"]
            assert 0 < target["maxLines"] <= 200
            assert f"{target['maxLines']} newest" in panel["description"]


def test_the_metrics_beside_the_feed_count_every_event() -> None:
    (panel,) = (each for each in _DASHBOARD["panels"] if each["id"] == 3)
    (target,) = panel["targets"]
    read = {
        part.name
        for part in walk(parse(as_sent(target["expr"], seconds=3600, step_seconds=15)))
        if isinstance(part, Selector)
    }
    assert len(read) == len(ALL)
    assert all(name in vocabulary().series for name in read)


def test_no_event_says_what_that_can_mean() -> None:
    empty = [each["fieldConfig"]["defaults"]["noValue"] for each in _DASHBOARD["panels"] if each["type"] == "logs"]
    assert len(empty) == 2
    assert all("do not export events" in each for each in empty)


def test_it_is_listed_by_the_other_dashboards_and_follows_the_site() -> None:
    security = json.loads(published_file("trust-service-security").read_bytes())
    (link,) = security["links"]
    assert set(link["tags"]) <= set(_DASHBOARD["tags"])
    assert _DASHBOARD["uid"] != security["uid"]
    site = read_site("environments: {live: page}", "site.yml")
    rendered = json.loads(dashboards(site)["dashboards/trust-service-security-events.json"])
    (environment,) = (each for each in rendered["templating"]["list"] if each["name"] == "environment")
    assert environment["current"]["value"] == "live"
