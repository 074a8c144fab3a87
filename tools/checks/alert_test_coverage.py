"""The unit tests of alerts as data: which alert is expected when, and which alert no test proves."""

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
"""An alert that fires, as its labels and their values."""

_JUST_BEFORE = 60


@dataclass(frozen=True)
class Moment:
    """What a test expects of one alert name at one time.

    Attributes:
        alert: The alert's name.
        time: Seconds since the start of the test.
        expected: Each alert that fires.
    """

    alert: str
    time: float
    expected: frozenset[Alert]


@dataclass(frozen=True)
class Scene:
    """One group of tests.

    Attributes:
        name: The group's name.
        moments: What it expects of alerts.
        queries: The expressions that it evaluates itself.
        end: Seconds until the last time that it looks at.
        interval: Seconds between two evaluations.
    """

    name: str
    moments: tuple[Moment, ...]
    queries: tuple[str, ...]
    end: float
    interval: float


def read_scenes(test_file: Path) -> tuple[Scene, ...]:
    """The test groups of a file for promtool, each of which has a name."""
    content = yaml.safe_load(test_file.read_text(encoding="utf-8"))
    interval = seconds(str(content.get("evaluation_interval", "1m")))
    return tuple(_scene(test, interval) for test in content["tests"])


def _scene(test: Mapping[str, Any], interval: float) -> Scene:
    alerts, queries = test.get("alert_rule_test") or (), test.get("promql_expr_test") or ()
    return Scene(
        name=test["name"],
        moments=tuple(_moment(case) for case in alerts),
        queries=tuple(case["expr"] for case in queries),
        end=max((seconds(str(case["eval_time"])) for case in (*alerts, *queries)), default=0),
        interval=interval,
    )


def _moment(case: Mapping[str, Any]) -> Moment:
    return Moment(
        alert=case["alertname"],
        time=seconds(str(case["eval_time"])),
        expected=frozenset(frozenset(alert.get("exp_labels", {}).items()) for alert in case.get("exp_alerts") or ()),
    )


def expected_alerts(rule: Rule, scenes: Iterable[Scene]) -> set[Alert]:
    """The alerts of the rule that the tests expect, told by the labels that the rule sets to fixed texts."""
    fixed = {(name, value) for name, value in rule.labels.items() if "{{" not in value}
    moments = [moment for scene in scenes for moment in scene.moments if moment.alert == rule.name]
    return {alert for moment in moments for alert in moment.expected if fixed <= alert}


def unproven(rule: Rule, scenes: Iterable[Scene]) -> str | None:
    """What no test group shows of an alert: silent, firing within a minute, and silent again; None if one shows all.

    With a longer interval between evaluations, that takes the place of the minute. An alert that always fires is only
    expected.
    """
    seen = []
    for scene in scenes:
        moments = [moment for moment in scene.moments if moment.alert == rule.name]
        before = max(_JUST_BEFORE, scene.interval)
        seen += [(alert, moments, _begins(alert, moments, before)) for alert in expected_alerts(rule, [scene])]
    if not seen:
        return "no test expects it"
    if rule.name == ALWAYS_FIRES:
        return None
    if not any(times for _, _, times in seen):
        return "no test expects it to be silent up to a minute before it fires"
    if not any(_silent(alert, moments, time, math.inf) for alert, moments, times in seen for time in times):
        return "no test that sees it begin expects it to be silent after it has fired"
    return None


def _begins(alert: Alert, moments: Iterable[Moment], before: float) -> list[float]:
    """When the alert is expected, and not yet up to `before` seconds earlier."""
    every = list(moments)
    fires = (moment.time for moment in every if alert in moment.expected)
    return [time for time in fires if _silent(alert, every, time - before, time)]


def _silent(alert: Alert, moments: Iterable[Moment], after: float, until: float) -> bool:
    """Whether the alert is not expected at some time from `after`, and before `until`."""
    return any(after <= moment.time < until and alert not in moment.expected for moment in moments)
