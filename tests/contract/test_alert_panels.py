"""The panel of an alert shows the fault of the alert's unit tests while the alert fires."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.rule_files import ALERTS, RULES, UNIT_TESTS, identifier, promtool, vocabulary
from tests.contract.test_dashboards import dashboards
from tests.support.dashboards import queries
from tools.checks.alert_panels import readers
from tools.checks.fields import labels_of_target
from tools.checks.grafana import Panel, Target
from tools.checks.promtool import passes
from tools.checks.rule_dependencies import needed_rules, with_only
from tools.checks.rules import Rule
from tools.checks.variables import as_sent

_WITHOUT_STARTS = re.compile("without the start times of series|a process that Prometheus lost")
"""Groups of unit tests in which an alert counts what a series already has when Prometheus first sees it, although the
start of the series is unknown. Panels do not (docs/dashboards.md)."""

_ENOUGH = 3
"""Moments at which a rule fires. More take time and show the same."""


def panel_of(rule: Rule) -> Panel:
    uid, number = re.findall(r"/d/([\w-]+)\?viewPanel=(\d+)", rule.annotations["dashboard_url"])[0]
    return next(panel for panel in dashboards()[uid].panels if panel.number == int(number))


def firing(rule: Rule) -> Iterator[tuple[dict[str, Any], str, Mapping[str, str]]]:
    """The groups of unit tests with a moment at which the rule fires, and the labels of the alert."""
    groups = yaml.safe_load((UNIT_TESTS / f"{rule.name}.yml").read_text(encoding="utf-8"))["tests"]
    fixed = {name: value for name, value in rule.labels.items() if "{{" not in value}
    for group in groups:
        if _WITHOUT_STARTS.match(group.get("name", "")):
            continue
        for moment in group.get("alert_rule_test", ()):
            for alert in moment.get("exp_alerts", ()) if moment["alertname"] == rule.name else ():
                labels = alert["exp_labels"]
                if fixed.items() <= labels.items():
                    yield group, str(moment["eval_time"]), labels
                    break
            else:
                continue
            break


def zero_is_red(rule: Rule, target: Target) -> bool:
    """Whether the panel colours 0 red, such as the state of a dependency."""
    url = rule.annotations["dashboard_url"]
    return any(
        query.is_red(0)
        for query in queries()
        if url.endswith(f"/{query.dashboard}?viewPanel={query.panel}") and query.ref == target.ref
    )


def shows(rule: Rule, target: Target, labels: Mapping[str, str]) -> str:
    """PromQL: 1 if the query has a result with these labels, as far as it has them. A 0 counts only if it is red."""
    # The link of the notification selects the environment and the service.
    query = as_sent(
        target.source,
        seconds=3600,
        step_seconds=15,
        environment=labels.get("deployment_environment_name", ""),
        service=labels.get("service_name", ".*"),
    )
    wanted = "vector(1)"
    # A panel may shorten a label, such as a path to the name of its file.
    shortened = set(re.findall(r'label_replace\(.+?, "(\w+)", "\$1", "\1"', target.source))
    names = sorted(set(labels_of_target(target, vocabulary()) or {}) & set(labels) - shortened)
    for name in names:
        wanted = f'label_replace({wanted}, "{name}", "{labels[name]}", "", "")'
    fault = "" if zero_is_red(rule, target) else "!= 0"
    return f"clamp_max(count(({query}) {fault} and on ({', '.join(names)}) {wanted}), 1)"


@pytest.mark.parametrize("rule", ALERTS, ids=identifier)
def test_the_panel_shows_the_alert_while_it_fires(rule: Rule, tmp_path: Path) -> None:
    found = readers(rule, panel_of(rule), vocabulary())
    tests = [
        {
            "interval": group.get("interval", "1m"),
            "input_series": group["input_series"],
            "promql_expr_test": [
                {
                    "expr": " or ".join(shows(rule, target, labels) for target in found),
                    "eval_time": moment,
                    "exp_samples": [{"labels": "{}", "value": 1}],
                }
            ],
        }
        for group, moment, labels in list(firing(rule))[:_ENOUGH]
    ]
    assert tests, "no unit test in which it fires"
    original = UNIT_TESTS / f"{rule.name}.yml"
    settings = yaml.safe_load(original.read_text(encoding="utf-8"))
    with with_only(needed_rules(original, RULES), original) as file:
        file.write_text(yaml.safe_dump({**settings, "tests": tests}), encoding="utf-8")
        assert passes(promtool(), file)
