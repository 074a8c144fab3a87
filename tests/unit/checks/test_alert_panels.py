"""The panel of an alert shows the metrics and labels of the alert, to its team."""

import json
from typing import Any

import pytest
import yaml

from tests.unit.checks.sample_vocabulary import VOCABULARY
from tools.checks.alert_panels import check_alert_panels
from tools.checks.grafana import Dashboard, dashboard_in
from tools.checks.rules import Rule, rules_in, with_rules

_UID = "trust-service-operational"
_TEAMS = {_UID: frozenset({"platform", "security"})}
_DOWN = 'min by (service_name, target) (healthy{target!="b"}) == 0'
_FULL = "max by (instance, disk) (used_bytes) / max by (instance, disk) (size_bytes) > 0.9"
_MANY = 'sum by (service_name) (increase(requests_total{code="500"}[5m])) > 3'
_ERRORS = f"service:errors_per_request:ratio_rate5m > 0.1 and {_MANY}"


def alert(expression: str, *, name: str = "TrustExample", team: str = "platform") -> Rule:
    rule = {
        "alert": name,
        "expr": expression,
        "labels": {"team": team},
        "annotations": {"dashboard_url": f"https://grafana.marty.com/d/{_UID}?viewPanel=1"},
    }
    return rules_in(yaml.safe_dump({"groups": [{"name": "example", "rules": [rule]}]}), "alerts.yml")[0]


def dashboard(*queries: tuple[str, str], table: bool = False, hidden: tuple[str, ...] = ()) -> Dashboard:
    targets = [
        {"refId": chr(65 + number), "expr": source, "legendFormat": legend, **({"format": "table"} if table else {})}
        for number, (source, legend) in enumerate(queries)
    ]
    panel: dict[str, Any] = {
        "id": 1,
        "type": "table" if table else "timeseries",
        "title": "Example",
        "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
        "targets": targets,
        "transformations": [{"id": "organize", "options": {"excludeByName": dict.fromkeys(hidden, True)}}],
    }
    return dashboard_in(json.dumps({"uid": _UID, "panels": [panel]}), f"{_UID}.json")


def findings(rule: Rule, shown: Dashboard) -> list[str]:
    return [each.message for each in check_alert_panels([rule], {_UID: shown}, with_rules(VOCABULARY, [rule]), _TEAMS)]


@pytest.mark.parametrize(
    ("expression", "queries"),
    [
        (_DOWN, [("min by (service_name, target) (healthy)", "{{target}}")]),
        # Any window, aggregation and further label.
        (_DOWN, [("max by (service_name, target) (max_over_time(healthy[1h])) * 2", "{{service_name}} {{target}}")]),
        # The variables of the dashboard select the service.
        (_DOWN, [('min by (target) (healthy{service_name=~"$service"})', "{{target}}")]),
        # Several queries together show all values of a label.
        (
            'min by (target) (healthy{target=~"a|b"}) == 0',
            [('min by (target) (healthy{target="a"})', "{{target}}"), ('min by (target) (healthy{target="b"})', "b")],
        ),
        (_FULL, [("max by (instance, disk) (used_bytes / (size_bytes > 0))", "{{instance}} {{disk}}")]),
        # Through recording rules, on either side.
        (_ERRORS, [("service:errors_per_request:ratio_rate5m", "errors")]),
        (_ERRORS, [("sum(rate(requests_total[5m]))", "requests")]),
        ("sum by (service_name) (rate(requests_total[5m])) > 9", [("sum(service:requests:rate5m)", "requests")]),
        ("vector(1)", [('count(ALERTS{alertname="TrustExample", alertstate="firing"})', "it")]),
    ],
)
def test_a_panel_with_the_metrics_and_labels_of_the_alert_is_right(
    expression: str, queries: list[tuple[str, str]]
) -> None:
    assert findings(alert(expression), dashboard(*queries)) == []


@pytest.mark.parametrize(
    ("expression", "queries", "missing"),
    [
        (_DOWN, [("sum(sessions)", "sessions")], "it does not query healthy"),
        (_DOWN, [("sum by (target) (sessions and healthy)", "sessions")], "it does not query healthy"),
        # Only a filler, which shows nothing of the metric.
        (_DOWN, [("sum(sessions) or sum(healthy) * 0", "sessions")], "it does not query healthy"),
        (_DOWN, [("min(healthy)", "worst")], "its queries of healthy do not show target"),
        (_DOWN, [("min by (target) (healthy)", "worst")], "its queries of healthy do not show target"),
        (_DOWN, [('min by (target) (healthy{target="a"})', "{{target}}")], 'exclude target="other"'),
        (
            f"{_DOWN} or max by (service_name) (sessions) > 9",
            [("min by (target) (healthy)", "{{target}}")],
            "it does not query sessions",
        ),
        (_FULL, [("max by (instance, disk) (used_bytes)", "{{instance}} {{disk}}")], "it does not query size_bytes"),
        (_FULL, [("max by (instance) (used_bytes / size_bytes)", "{{instance}}")], "do not show disk"),
        (_ERRORS, [('sum(rate(requests_total{code="404"}[5m]))', "gone")], 'exclude code="200"'),
        ("vector(1)", [('count(ALERTS{alertname="TrustOther", alertstate="firing"})', "it")], "exclude alertname"),
    ],
)
def test_a_panel_without_a_metric_or_label_of_the_alert_is_found(
    expression: str, queries: list[tuple[str, str]], missing: str
) -> None:
    found = findings(alert(expression), dashboard(*queries))
    assert any(missing in message for message in found), found


def test_a_column_that_a_table_excludes_is_not_shown() -> None:
    query = ("min by (service_name, target) (healthy)", "")
    assert findings(alert(_DOWN), dashboard(query, table=True)) == []
    (message,) = findings(alert(_DOWN), dashboard(query, table=True, hidden=("target",)))
    assert message == f"TrustExample: {_UID}, panel 1 (Example): its queries of healthy do not show target"


@pytest.mark.parametrize(("team", "allowed"), [("platform", True), ("security", True), ("business", False)])
def test_the_team_of_the_alert_may_open_the_dashboard(team: str, allowed: bool) -> None:
    shown = dashboard(("min by (target) (healthy)", "{{target}}"))
    found = findings(alert(_DOWN, team=team), shown)
    assert found == ([] if allowed else [f"TrustExample: {_UID}, panel 1 (Example): the team {team} may not open it"])


@pytest.mark.parametrize("source", ["sum(unknown)", "sum("])
def test_an_invalid_query_is_left_to_other_checks(source: str) -> None:
    assert findings(alert(_DOWN), dashboard((source, "it"))) == []
