"""Mutation tests of rules with the real promtool."""

from pathlib import Path

import pytest

from tests.contract.rule_files import promtool as find_promtool
from tools.checks.mutations import FailingTestsError, survivors
from tools.checks.promtool import PromtoolError, complaints, passes, write_rules
from tools.checks.rule_dependencies import groups_in_any_order, needed_rules, readers
from tools.checks.rules import Rule, read_rules, rules_in

_RULES = """
groups:
  - name: recording
    interval: 10s
    rules:
      - {record: "service:load:max", expr: max by (service) (load), labels: {kind: one}}
      - {record: "service:idle:max", expr: max by (service) (idle)}
  - name: alerts
    rules:
      - alert: Loaded
        expr: service:load:max{kind="one"} > 4
        for: 1m
        keep_firing_for: 30s
        labels: {severity: critical}
        annotations: {summary: "{{ $value }}"}
      - {alert: Idle, expr: service:idle:max == 1, labels: {severity: info}}
"""

_TESTS = """
rule_files: [../rules.yml]
evaluation_interval: 10s
group_eval_order: [recording, alerts]
tests:
  - name: fires after a minute (or not)
    interval: 10s
    input_series:
      - {series: 'load{service="a"}', values: 5x20 4x20}
      - {series: 'load{service="b"}', values: 7x20 3x20}
    alert_rule_test:
      - {eval_time: 50s, alertname: Loaded}
      - eval_time: 1m
        alertname: Loaded
        exp_alerts:
          - {exp_labels: {severity: critical, service: a, kind: one}, exp_annotations: {summary: "5"}}
          - {exp_labels: {severity: critical, service: b, kind: one}, exp_annotations: {summary: "7"}}
      - {eval_time: 4m, alertname: Loaded}
"""


@pytest.fixture(scope="module")
def promtool() -> Path:
    return find_promtool()


def _rules() -> tuple[Rule, ...]:
    return rules_in(_RULES, "rules.yml")


def test_changes_that_the_unit_tests_do_not_detect_are_found(promtool: Path, tmp_path: Path) -> None:
    file = tmp_path / "Loaded.yml"
    file.write_text(_TESTS)
    alert = next(rule for rule in _rules() if rule.name == "Loaded")
    assert [mutant.change for mutant in survivors(alert, _rules(), [file], promtool)] == [
        # There is no other kind, and no expectation right after the end.
        'service:load:max{kind="one"}  ->  service:load:max',
        "without keep_firing_for",
    ]


def test_changes_of_recording_rules_are_detected_by_alerts(promtool: Path, tmp_path: Path) -> None:
    file = tmp_path / "Loaded.yml"
    file.write_text(_TESTS)
    expression = """'max by (service) (load{service=~"a|b", zone=""})'"""
    record = rules_in(_RULES.replace("max by (service) (load)", expression), "rules.yml")
    assert [alert.name for alert in readers(record[0], record)] == ["Loaded"]
    assert [mutant.change for mutant in survivors(record[0], record, [file], promtool)] == [
        'load{service=~"a|b", zone=""}  ->  load{zone=""}',
        'load{service=~"a|b", zone=""}  ->  load{service=~"a|b"}',
    ]


def test_a_series_that_the_template_of_an_alert_queries_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "Loaded.yml"
    file.write_text(_TESTS)
    query = "'{{ range query \"service:idle:max\" }}{{ .Value }}{{ end }}'"
    rules = rules_in(_RULES.replace('"{{ $value }}"', query), "rules.yml")
    idle = next(rule for rule in rules if rule.name == "service:idle:max")
    assert [alert.name for alert in readers(idle, rules)] == ["Loaded", "Idle"]
    assert idle in needed_rules(file, rules)


def test_groups_without_evaluation_order_are_found(tmp_path: Path) -> None:
    file = tmp_path / "Loaded.yml"
    file.write_text(_TESTS)
    assert groups_in_any_order(file, _rules()) == set()
    file.write_text(_TESTS.replace("[recording, alerts]", "[alerts]"))
    assert groups_in_any_order(file, _rules()) == {"recording"}
    file.write_text(_TESTS.replace("group_eval_order: [recording, alerts]", "").replace("Loaded", "Idle"))
    assert groups_in_any_order(file, _rules()) == {"recording", "alerts"}


def test_tests_that_fail_on_the_unchanged_rules_are_an_error(promtool: Path, tmp_path: Path) -> None:
    file = tmp_path / "Loaded.yml"
    file.write_text(_TESTS.replace("eval_time: 50s", "eval_time: 1m10s"))
    with pytest.raises(FailingTestsError, match="fails on the unchanged rules"):
        survivors(_rules()[2], _rules(), [file], promtool)


def test_tests_that_cannot_run_are_an_error(promtool: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    file.write_text(_TESTS.replace("values: 5x20 4x20", "values: nonsense"))
    write_rules(_rules(), tmp_path / "rules.yml")
    with pytest.raises(PromtoolError, match="nonsense"):
        passes(promtool, file)


def test_rules_are_written_as_they_were_read(promtool: Path, tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    write_rules(_rules(), file)
    said = [(rule.name, rule.source, rule.labels, rule.annotations, rule.wait, rule.keep_firing) for rule in _rules()]
    again = [(r.name, r.source, r.labels, r.annotations, r.wait, r.keep_firing) for r in read_rules([file])]
    assert again == said
    assert [(rule.group, rule.interval) for rule in read_rules([file])] == [(r.group, r.interval) for r in _rules()]
    assert complaints(promtool, [file]) == ""
