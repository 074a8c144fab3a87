"""The alert unit tests (promtool) as data, and which alerts they do not cover."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.checks.alerts import ALWAYS_FIRES
from tools.checks.promql import seconds
from tools.checks.rules import Rule

Alert = frozenset[tuple[str, str]]
"""A firing alert: its labels and their values."""

_MAX_DELAY = 60


@dataclass(frozen=True)
class Expectation:
    """The expected alerts of one name at one time.

    Attributes:
        alert: The alert's name.
        time: Seconds since the start of the test.
        expected: The firing alerts.
    """

    alert: str
    time: float
    expected: frozenset[Alert]


@dataclass(frozen=True)
class AlertTestGroup:
    """One group of tests.

    Attributes:
        name: The group's name.
        expectations: Its expectations of alerts.
        queries: The expressions that it evaluates.
        end: Seconds from its start to its last expectation.
        interval: Seconds between evaluations.
    """

    name: str
    expectations: tuple[Expectation, ...]
    queries: tuple[str, ...]
    end: float
    interval: float


def read_test_groups(test_file: Path) -> tuple[AlertTestGroup, ...]:
    """The named test groups of a promtool test file."""
    content = yaml.safe_load(test_file.read_text(encoding="utf-8"))
    interval = seconds(str(content.get("evaluation_interval", "1m")))
    return tuple(_test_group(test, interval) for test in content["tests"])


def _test_group(test: Mapping[str, Any], interval: float) -> AlertTestGroup:
    alerts, queries = test.get("alert_rule_test") or (), test.get("promql_expr_test") or ()
    return AlertTestGroup(
        name=test["name"],
        expectations=tuple(_expectation(case) for case in alerts),
        queries=tuple(case["expr"] for case in queries),
        end=max((seconds(str(case["eval_time"])) for case in (*alerts, *queries)), default=0),
        interval=interval,
    )


def _expectation(case: Mapping[str, Any]) -> Expectation:
    return Expectation(
        alert=case["alertname"],
        time=seconds(str(case["eval_time"])),
        expected=frozenset(frozenset(alert.get("exp_labels", {}).items()) for alert in case.get("exp_alerts") or ()),
    )


def expected_alerts(rule: Rule, groups: Iterable[AlertTestGroup]) -> set[Alert]:
    """The alerts of the rule that the tests expect, matched by the rule's labels with fixed values."""
    fixed = {(name, value) for name, value in rule.labels.items() if "{{" not in value}
    expectations = [each for group in groups for each in group.expectations if each.alert == rule.name]
    return {alert for each in expectations for alert in each.expected if fixed <= alert}


def missing_coverage(rule: Rule, groups: Iterable[AlertTestGroup]) -> str | None:
    """What no test group covers; None if one covers everything: not firing, firing within a minute, not firing again.

    A longer evaluation interval replaces the minute. An alert that always fires only needs to be expected.
    """
    seen = []
    for group in groups:
        expectations = [each for each in group.expectations if each.alert == rule.name]
        before = max(_MAX_DELAY, group.interval)
        seen += [
            (alert, expectations, _begins(alert, expectations, before)) for alert in expected_alerts(rule, [group])
        ]
    if not seen:
        return "no test expects it"
    if rule.name == ALWAYS_FIRES:
        return None
    if not any(times for _, _, times in seen):
        return "no test expects that it does not fire up to a minute before it fires"
    if not any(_silent(alert, expectations, time, math.inf) for alert, expectations, times in seen for time in times):
        return "no test group with its start expects that it stops firing"
    return None


def _begins(alert: Alert, expectations: Iterable[Expectation], before: float) -> list[float]:
    """Times at which the alert is expected, and is expected not to fire up to `before` seconds earlier."""
    every = list(expectations)
    fires = (each.time for each in every if alert in each.expected)
    return [time for time in fires if _silent(alert, every, time - before, time)]


def _silent(alert: Alert, expectations: Iterable[Expectation], after: float, until: float) -> bool:
    """Whether the alert is expected not to fire at some time from `after` and before `until`."""
    return any(after <= each.time < until and alert not in each.expected for each in expectations)
