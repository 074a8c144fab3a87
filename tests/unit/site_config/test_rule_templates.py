"""Thresholds and names that a site changes in the rules."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from trust_ops.site_config.rule_templates import (
    Overrides,
    RuleTemplate,
    RuleValues,
    alternatives,
    rule_file,
    rule_groups,
    threshold_problems,
    with_thresholds,
)
from trust_ops.site_config.thresholds import Threshold
from trust_otel.setting_lists import BadValueError

VALUES = RuleValues("https://grafana.trust.test", "https://books.trust.test", ("Sign",))
CHANGEABLE = [rule for group in rule_groups() for rule in group.rules if rule.threshold is not None]


def loaded(overrides: Overrides) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The rules as Prometheus reads them, by name and severity."""
    text = rule_file(with_thresholds(rule_groups(), overrides), VALUES)
    rules = (rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"])
    return {(rule["alert"], rule["labels"].get("severity", "")): rule for rule in rules}


def problems(overrides: Overrides) -> dict[str, str]:
    return {".".join(path): remedy for path, remedy in threshold_problems(rule_groups(), overrides)}


def another(rule: RuleTemplate) -> float:
    """A number that the rule contains nowhere else."""
    assert rule.threshold is not None
    changes = {"ratio": rule.threshold.given * -0.1, "seconds": 0.375}
    return rule.threshold.given + changes.get(rule.threshold.unit, 1)


@pytest.mark.parametrize("rule", CHANGEABLE, ids=lambda rule: f"{rule.name}-{rule.severity}")
def test_a_threshold_of_the_site_is_in_the_expression_and_in_every_text(rule: RuleTemplate) -> None:
    overrides = {rule.name: {rule.severity: another(rule)}}
    before, after = loaded({})[rule.name, rule.severity], loaded(overrides)[rule.name, rule.severity]
    assert rule.threshold is not None
    new = rule.threshold.overridden(another(rule))
    assert new.promql in after["expr"]
    assert after["expr"].replace(new.promql, rule.threshold.promql) == before["expr"]
    assert after["annotations"]["description"] == before["annotations"]["description"].replace(
        rule.threshold.text, new.text
    )


def test_the_comment_names_both_thresholds() -> None:
    text = rule_file(with_thresholds(rule_groups(), {"TrustServiceHighLatency": 3.5}), VALUES)
    before = text[: text.index("- alert: TrustServiceHighLatency")]
    assert before.rstrip().endswith("#\n      # Threshold of this site: 3.5 s (default 2 s).")


def test_other_rules_do_not_change() -> None:
    before, after = loaded({}), loaded({"TrustServiceHighLatency": 3})
    assert [key for key in before if before[key] != after[key]] == [("TrustServiceHighLatency", "critical")]


def test_the_declared_number_changes_nothing() -> None:
    assert with_thresholds(rule_groups(), {"TrustServiceHighLatency": 2}) == rule_groups()


def test_one_severity_is_changed_alone() -> None:
    rules = loaded({"TrustCertificateExpiring": {"critical": 14}})
    assert "< 14 * 86400" in rules["TrustCertificateExpiring", "critical"]["expr"]
    assert "< 30 * 86400" in rules["TrustCertificateExpiring", "warning"]["expr"]


def test_a_count_is_what_is_still_allowed() -> None:
    rule = loaded({"TrustBruteForceFromAddress": 100})["TrustBruteForceFromAddress", "critical"]
    assert ">= 101" in rule["expr"]
    assert "(threshold 100)" in rule["annotations"]["description"]


@pytest.mark.parametrize(
    ("overrides", "remedies"),
    [
        ({"TrustServiceHighLatncy": 3}, {"TrustServiceHighLatncy": "did you mean TrustServiceHighLatency?"}),
        ({"Other": 3}, {"Other": "there is no such alert; remove it"}),
        ({"TrustServiceDown": 3}, {"TrustServiceDown": "the alert has no threshold; alerts with a threshold: "}),
        ({"TrustServiceHighLatency": 10}, {"TrustServiceHighLatency": "use a number below 10, "}),
        ({"TrustServiceHighLatency": 0}, {"TrustServiceHighLatency": "use a number above 0"}),
        ({"TrustServiceHighLatency": float("inf")}, {"TrustServiceHighLatency": "use a number above 0"}),
        ({"TrustServiceHighLatency": float("nan")}, {"TrustServiceHighLatency": "use a number above 0"}),
        ({"TrustHostMemoryHigh": 90}, {"TrustHostMemoryHigh": "use a number below 1, such as 0.85 for 85 %"}),
        ({"TrustBruteForceFromAddress": 1.5}, {"TrustBruteForceFromAddress": "use a whole number"}),
        (
            {"TrustCertificateExpiring": 14},
            {"TrustCertificateExpiring": "write a number for each, such as {critical: 7, warning: 30}"},
        ),
        ({"TrustServiceHighLatency": {"info": 1}}, {"TrustServiceHighLatency.info": "only severity critical"}),
        (
            {"TrustCertificateExpiring": {"critical": 30}},
            {"TrustCertificateExpiring": "critical (30 days) must stay below warning (30 days)"},
        ),
        (
            {"TrustCertificateExpiring": {"critical": 0, "warning": -1}},
            {
                "TrustCertificateExpiring.critical": "use a number above 0",
                "TrustCertificateExpiring.warning": "use a number above 0",
            },
        ),
    ],
)
def test_a_threshold_that_cannot_work_is_named_with_its_remedy(
    overrides: Overrides, remedies: Mapping[str, str]
) -> None:
    found = problems(overrides)
    assert found.keys() == remedies.keys()
    assert [name for name, part in remedies.items() if part not in found[name]] == [], found


def test_no_count_at_all_may_be_allowed() -> None:
    assert problems({"TrustBruteForceFromAddress": 0}) == {}


def test_an_unchecked_threshold_is_not_written() -> None:
    with pytest.raises(BadValueError, match="below 10"):
        with_thresholds(rule_groups(), {"TrustServiceHighLatency": 11})


def test_addresses_are_those_of_the_site() -> None:
    text = rule_file(rule_groups(), VALUES)
    assert "marty.com" not in text
    assert "runbook_url: https://books.trust.test/TrustServiceDown\n" in text
    assert "dashboard_url: https://grafana.trust.test/d/trust-service-operational?viewPanel=1\n" in text


def test_methods_are_those_of_the_site() -> None:
    values = dataclasses.replace(VALUES, grpc_methods=("Seal", "Stamp"))
    assert 'rpc_method=~".*/(Seal|Stamp).*"' in rule_file(rule_groups(), values)


def test_names_match_literally() -> None:
    assert alternatives(["/v1/{id}.pdf", 'a"b', "c|d"]) == '/v1/\\\\{id\\\\}\\\\.pdf|a\\"b|c\\\\|d'


@pytest.mark.parametrize(
    ("threshold", "text"),
    [(Threshold(0.07, "ratio"), "7 %"), (Threshold(0.1 + 0.2), "0.3"), (Threshold(1e6), "1000000")],
)
def test_a_number_is_written_without_digits_of_its_binary_form(threshold: Threshold, text: str) -> None:
    assert threshold.text == text
