"""The checks of all rules, and the rule files with the oldest and newest promtool."""

from pathlib import Path

import pytest
import yaml

from tests.contract.rule_files import ALERTS, FILES, FOLDER, RULES, UNIT_TESTS, identifier, promtool, vocabulary
from tools.checks.alert_test_coverage import expected_alerts, read_test_groups
from tools.checks.label_inference import vector_labels
from tools.checks.promtool import complaints
from tools.checks.queries import Finding
from tools.checks.rulebook import check_rules
from tools.checks.rules import Rule, result_labels
from tools.checks.vocabulary import PROMETHEUS_CONFIGURATION
from trust_otel.semconv.scraped import read_scraped


@pytest.fixture(scope="module")
def findings() -> dict[Rule, list[Finding]]:
    return check_rules(RULES, vocabulary())


@pytest.mark.parametrize("rule", RULES, ids=identifier)
def test_the_checks_find_nothing(rule: Rule, findings: dict[Rule, list[Finding]]) -> None:
    assert [str(finding) for finding in findings[rule]] == []


@pytest.mark.parametrize("version", ["promtool", "promtool_2_42"])
def test_promtool_finds_nothing(version: str) -> None:
    assert complaints(promtool(version), FILES) == ""


def test_promtool_finds_mistakes(tmp_path: Path) -> None:
    broken = tmp_path / "rules.yml"
    broken.write_text("groups: [{name: a, rules: [{record: a, expr: b}, {record: a, expr: b}]}]")
    assert "duplicate" in complaints(promtool(), [broken])


def test_prometheus_loads_every_rule_file() -> None:
    loaded = yaml.safe_load(PROMETHEUS_CONFIGURATION.read_text())["rule_files"]
    assert [FOLDER / name for name in loaded] == list(FILES)


def test_every_exporter_has_a_scrape_job() -> None:
    jobs = {job["job_name"] for job in yaml.safe_load(PROMETHEUS_CONFIGURATION.read_text())["scrape_configs"]}
    assert {metric.job for metric in read_scraped().values() if metric.job is not None} <= jobs


@pytest.mark.parametrize("alert", ALERTS, ids=identifier)
def test_labels_are_inferred_as_promtool_finds_them(alert: Rule) -> None:
    inferred = result_labels(alert, vector_labels(alert.expression(), vocabulary()))
    seen = [dict(labels) for labels in expected_alerts(alert, read_test_groups(UNIT_TESTS / f"{alert.name}.yml"))]
    assert seen
    for labels in seen:
        assert labels.keys() <= inferred.keys()
        # The unit tests omit the name, which is always the rule's.
        assert {name for name, label in inferred.items() if label.always} <= labels.keys() | {"alertname"}
        for name, value in labels.items():
            assert inferred[name].values is None or value in (inferred[name].values or ())
