"""Checks of recording rules and of whole rule files, and the comments that silence a check."""

import re
from pathlib import Path

import pytest

from tests.unit.checks.sample_vocabulary import VOCABULARY
from tools.checks.queries import Finding
from tools.checks.recordings import RECORDING_CHECKS, SET_CHECKS
from tools.checks.rulebook import CHECKS, check_rules
from tools.checks.rules import rules_in, with_rules

_LABELS = "deployment_environment_name, service_namespace, service_name"


def _findings(content: str, readers: frozenset[str] = frozenset()) -> list[Finding]:
    rules = rules_in(content, "a.yml")
    found = check_rules(rules, with_rules(VOCABULARY, rules), readers)
    return [finding for findings in found.values() for finding in findings]


def _file(*rules: str, head: str = "") -> str:
    return "\n".join(["groups:", "  - name: a", head, "    rules:", *(f"      - {rule}" for rule in rules)])


def _record(name: str, expression: str) -> str:
    return f"{{record: '{name}', expr: '{expression}'}}"


@pytest.mark.parametrize(
    ("name", "expression", "message"),
    [
        ("requests", f"sum by ({_LABELS}) (rate(requests_total[5m]))", "level:metric:operations"),
        ("service:requests", f"sum by ({_LABELS}) (rate(requests_total[5m]))", "level:metric:operations"),
        ("cluster:requests:rate5m", "sum(rate(requests_total[5m]))", "level cluster"),
        (
            "service:requests:rate5m_all",
            "sum by (service_name) (rate(requests_total[5m]))",
            "no label service_namespace",
        ),
        ("service:sessions:sum", "sum without () (sessions)", "still has service_instance_id"),
        ("service:requests:rate1m", f"sum by ({_LABELS}) (rate(requests_total[5m]))", "has no range of 1m"),
    ],
)
def test_a_wrong_recording_rule_name_is_reported(name: str, expression: str, message: str) -> None:
    found = [finding for finding in _findings(_file(_record(name, expression))) if finding.check == "name"]
    assert any(message in finding.message for finding in found), found


def test_a_valid_recording_rule_passes() -> None:
    content = _file(
        _record("service_instance:requests:rate5m", "sum without (code, method) (rate(requests_total[5m]))"),
        _record("service:requests:rate5m", f"sum by ({_LABELS}) (service_instance:requests:rate5m)"),
    )
    assert _findings(content, frozenset({"service:requests:rate5m"})) == []


def test_an_unused_recording_rule_is_reported() -> None:
    content = _file(_record("service:requests:rate5m", f"sum by ({_LABELS}) (rate(requests_total[5m]))"))
    assert [finding.check for finding in _findings(content)] == ["unused"]
    assert _findings(content, frozenset({"service:requests:rate5m"})) == []


def test_a_series_that_only_a_template_reads_is_used() -> None:
    template = """'{{ range query "slo:target:ratio" }}{{ end }}'"""
    alert = f"{{alert: A, expr: sessions > 1, annotations: {{description: {template}}}}}"
    record = "{record: 'slo:target:ratio', expr: vector(1), labels: {slo: a}}"
    assert "unused" not in {finding.check for finding in _findings(_file(record, alert))}
    assert "unused" in {finding.check for finding in _findings(_file(record))}


@pytest.mark.parametrize(("labels", "missing"), [(", labels: {slo: a}", False), ("", True)])
def test_a_label_of_the_rule_counts_for_the_level_of_the_name(labels: str, missing: bool) -> None:
    found = _findings(_file(f"{{record: 'slo:target:ratio', expr: vector(1){labels}}}"))
    assert any("no label slo" in finding.message for finding in found) == missing


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("sum by (method) (requests_total)", "sum by (method) (sessions or requests_total)", True),
        ("sum by (method) (requests_total)", "sum by (code) (requests_total)", False),
        ("max by (code) (requests_total)", "min by (code) (requests_total)", True),
        ('requests_total{method="GET"}', 'requests_total{method="POST"}', False),
        ('requests_total{code="500"}', 'requests_total{code=~"5.."}', True),
    ],
)
def test_rules_that_record_the_same_series_are_reported(first: str, second: str, same: bool) -> None:
    found = _findings(_file(_record("a:a:a", first), _record("a:a:a", second)))
    assert ("duplicate" in {finding.check for finding in found}) == same


def test_alerts_with_different_labels_are_not_duplicates() -> None:
    rule = "{{alert: A, expr: sessions > 1, labels: {{severity: {}}}}}"
    different = _findings(_file(rule.format("critical"), rule.format("warning")))
    identical = _findings(_file(rule.format("critical"), rule.format("critical")))
    assert "duplicate" not in {finding.check for finding in different}
    assert "duplicate" in {finding.check for finding in identical}


@pytest.mark.parametrize(("interval", "slow"), [("2m", False), ("3m", True)])
def test_a_long_evaluation_interval_is_reported(interval: str, slow: bool) -> None:
    found = _findings(_file(_record("a:a:a", "sum(sessions)"), head=f"    interval: {interval}"))
    assert ("interval" in {finding.check for finding in found}) == slow


def test_a_duplicate_group_name_is_reported() -> None:
    one = rules_in(_file(_record("a:a:a", "sum(sessions)")), "one.yml")
    two = rules_in(_file(_record("b:b:b", "sum(sessions)")), "two.yml")
    found = check_rules([*one, *two], VOCABULARY)
    assert [finding.check for finding in found[two[0]]].count("group") == 1
    assert "group" not in {finding.check for finding in check_rules(one, VOCABULARY)[one[0]]}


def test_a_comment_with_a_reason_silences_one_check_of_one_rule() -> None:
    rule = "record: a\n        expr: sum(sessions)  # check:name the name that the product always had"
    assert [finding.check for finding in _findings(_file(rule, _record("b", "sum(sessions)")))] == [
        "unused",
        "name",
        "unused",
    ]


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("check:name", "needs a reason"),
        ("check:nam because", "unknown check nam"),
        ("check:rate because", "finds nothing here"),
    ],
)
def test_an_invalid_silence_comment_is_reported(comment: str, message: str) -> None:
    found = _findings(_file(f"record: a\n        expr: sum(sessions)  # {comment}"))
    assert any(message in finding.message for finding in found if finding.check == "silence"), found


def test_an_unknown_metric_is_the_only_finding_of_a_rule() -> None:
    found = _findings(_file("{alert: A, expr: nothing > 1}"))
    assert [finding.check for finding in found] == ["series"]


def test_check_names_are_unique() -> None:
    assert len(set(CHECKS)) == len(CHECKS)
    assert set(RECORDING_CHECKS) | set(SET_CHECKS) <= set(CHECKS)


def test_every_check_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "rule-checks.md").read_text()
    assert re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE) == list(CHECKS)
