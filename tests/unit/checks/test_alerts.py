"""Each check of an alert, with alerts that fail it and alerts that pass."""

import copy
from typing import Any

import pytest
import yaml

from tests.unit.checks.sample_vocabulary import VOCABULARY
from tools.checks.alerts import ALERT_CHECKS
from tools.checks.queries import Finding
from tools.checks.rulebook import check_rules
from tools.checks.rules import rules_in, with_rules

_SERVICE = "deployment_environment_name, service_namespace, service_name"
_VALID_RULE: dict[str, Any] = {
    "alert": "TooManyErrors",
    "expr": f'sum by ({_SERVICE}) (rate(requests_total{{code="500"}}[5m])) > 1',
    "for": "2m",
    "keep_firing_for": "2m",
    "labels": {
        "severity": "critical",
        "team": "platform",
        "service": "{{ $labels.service_name }}",
        "category": "availability",
    },
    "annotations": {
        "summary": "{{ $labels.service_name }} fails.",
        "description": "{{ $value | humanize }} errors a second.",
        "runbook_url": "https://runbooks.marty.com/TooManyErrors",
        "dashboard_url": "https://grafana.marty.com/d/trust-service-operational?viewPanel=3",
    },
}
_HOST = {"labels": {"service": "host"}, "annotations": {"summary": "x.", "description": "{{ $value | humanize }}."}}


def _findings(changes: dict[str, Any]) -> list[Finding]:
    rule = copy.deepcopy(_VALID_RULE)
    for key, value in changes.items():
        rule[key] = {**rule[key], **value} if isinstance(value, dict) else value
    for key in ("labels", "annotations"):
        rule[key] = {name: value for name, value in rule[key].items() if value is not None}
    content = yaml.safe_dump({"groups": [{"name": "a", "rules": [rule]}]})
    rules = rules_in(content, "a.yml")
    (findings,) = check_rules(rules, with_rules(VOCABULARY, rules)).values()
    return findings


_INVALID: list[tuple[str, dict[str, Any], str]] = [
    ("condition", {"expr": f"sum by ({_SERVICE}) (rate(requests_total[5m]))"}, "fires whenever there is data"),
    ("condition", {"expr": f"sum by ({_SERVICE}) (rate(requests_total[5m])) > bool 1"}, "fires whenever"),
    ("condition", {"expr": "healthy > 0.5 or sessions"}, "fires whenever"),
    ("for", {"expr": f"max by ({_SERVICE}) (healthy) == 0", "for": "20s"}, "one sample fires it"),
    ("for", {"expr": f"max by ({_SERVICE}) (healthy) == 0", "for": "0s"}, "one sample fires it"),
    ("for", {"for": "5s"}, "shorter than the evaluation interval"),
    ("keep-firing", {"keep_firing_for": "0s"}, "keep_firing_for is missing"),
    (
        "keep-firing",
        {"expr": "service:errors_per_request:ratio_rate5m > 0.1", "keep_firing_for": "0s"},
        "keep_firing_for is missing",
    ),
    ("birth", {"expr": "increase(lost_total[5m]) > 0", **_HOST}, "starts with its first event"),
    ("estimate", {"expr": f"sum by ({_SERVICE}) (increase(requests_total[5m])) > 10"}, "write >= 11"),
    ("fragile", {"expr": f"topk(3, sum by ({_SERVICE}) (rate(requests_total[5m]))) > 1"}, "different series"),
    ("alert-labels", {"labels": {"team": None}}, "label team is missing"),
    ("alert-labels", {"labels": {"severity": "fatal"}}, "'fatal' must be one of critical, warning, info"),
    ("alert-labels", {"labels": {"service": "trust"}}, "'trust' must be one of host"),
    ("alert-labels", {"labels": {"category": "{{ $labels.service_name }}"}}, "plain text"),
    ("alert-labels", {"expr": "used_bytes > 5", **_HOST}, "the label disk is not allowed"),
    ("alert-labels", {"labels": {"cluster": "a"}}, "the label cluster is not allowed"),
    (
        "alert-labels",
        {"expr": "sum by (service_name) (rate(requests_total[5m])) > 1"},
        "no deployment_environment_name: environments share",
    ),
    ("annotations", {"annotations": {"runbook_url": None}}, "runbook_url is missing"),
    ("annotations", {"annotations": {"summary": " "}}, "summary is missing"),
    ("annotations", {"annotations": {"summary": "{{ $value | humanize }} errors."}}, "move it to the description"),
    ("annotations", {"annotations": {"description": "It fails"}}, "full stop"),
    ("template", {"labels": {"category": "{{ $value }}"}}, "every evaluation creates a new alert"),
    ("template", {"annotations": {"summary": "{{ $labels.method }} fails."}}, "no label method, only"),
    ("template", {"labels": {"service": "{{ $labels.service_namespace }}"}}, "some series of the result"),
    ("template", {"expr": "absent(healthy)", "for": "5m"}, "no label service_name, only none at all"),
    ("template", {"annotations": {"summary": "{{ $nonsense }}."}}, "do not support $nonsense"),
    (
        "template",
        {"annotations": {"summary": '{{ with query "nothing" }}x{{ end }}.'}},
        "unknown metric or recording rule nothing",
    ),
    ("value", {"annotations": {"description": "{{ $value }} errors a second."}}, "up to 17 digits"),
    ("value", {"annotations": {"description": "{{ $value | humanizePercentage }}."}}, "not a ratio"),
    ("value", {"annotations": {"description": "{{ $value | humanizePercentage }} %."}}, "already adds the %"),
    (
        "value",
        {"expr": "max by (instance) (used_bytes / (size_bytes > 0)) > 0.9", **_HOST},
        "is a ratio; format it with humanizePercentage",
    ),
    ("distinct", {"expr": "used_bytes > 5", "labels": {"disk": "any", "service": "host"}}, "result's label disk"),
]

_VALID: list[dict[str, Any]] = [
    {},
    {
        "alert": "TrustWatchdog",
        "expr": "vector(1)",
        "for": "0s",
        "labels": {"service": "monitoring"},
        "annotations": {"summary": "Works.", "description": "Always fires."},
    },
    {
        "expr": f"max by ({_SERVICE}) (healthy) == 0",
        "for": "30s",
        "keep_firing_for": "0s",
        "annotations": {"description": "{{ $value }}."},
    },
    {
        "expr": f"sum by ({_SERVICE}) (increase(requests_total[1m])) >= 11",
        "for": "0s",
        "annotations": {"description": '{{ $value | printf "%.0f" }} within a minute.'},
    },
    {
        "expr": f"max by ({_SERVICE}) (last_over_time(sessions[1h])) unless max by ({_SERVICE}) (sessions)",
        "annotations": {"description": "{{ $value }} sessions."},
    },
    {
        "expr": "sum by (instance) (increase(lost_total[5m])) > 0"
        " or sum by (instance) (lost_total unless lost_total offset 5m) > 0",
        **_HOST,
    },
    {
        "expr": "absent(used_bytes)",
        "labels": {"service": "host"},
        "annotations": {"summary": "x.", "description": "y."},
    },
    {
        "expr": "max by (instance) (used_bytes / (size_bytes > 0)) > 0.9",
        "labels": {"service": "host"},
        "annotations": {
            "summary": "{{ $labels.instance }} is full.",
            "description": "{{ $value | humanizePercentage }} used.",
        },
    },
    {"annotations": {"description": "{{ if $labels.service_namespace }}In a namespace.{{ else }}Outside.{{ end }}"}},
]


@pytest.mark.parametrize(("check", "changes", "message"), _INVALID)
def test_an_invalid_alert_is_reported(check: str, changes: dict[str, Any], message: str) -> None:
    found = _findings(changes)
    assert any(message in finding.message for finding in found if finding.check == check), found


@pytest.mark.parametrize("changes", _VALID)
def test_a_valid_alert_passes(changes: dict[str, Any]) -> None:
    assert _findings(changes) == []


def test_every_check_has_an_invalid_alert() -> None:
    assert {check for check, _, _ in _INVALID} == set(ALERT_CHECKS)


def _escalation_findings(expression: str) -> list[Finding]:
    annotations = {"summary": "x.", "description": "{{ $labels.service }}."}
    escalation = {
        "alert": "Escalation",
        "expr": expression,
        "for": "15m",
        "labels": {"escalation_level": "manager"},
        "annotations": {**_VALID_RULE["annotations"], **annotations},
    }
    content = yaml.safe_dump({"groups": [{"name": "a", "rules": [_VALID_RULE, escalation]}]})
    rules = rules_in(content, "a.yml")
    first, findings = check_rules(rules, with_rules(VOCABULARY, rules)).values()
    assert first == []
    return findings


def test_an_alert_on_alerts_keeps_the_name_of_the_source_alert() -> None:
    alerts = 'max without (alertstate) (ALERTS{alertstate="firing", escalation_level=""})'
    (finding,) = _escalation_findings(alerts)
    assert "the result's label alertname is overwritten with 'Escalation'" in finding.message
    assert _escalation_findings(f'label_replace({alerts}, "escalated_alertname", "$1", "alertname", "(.+)")') == []


def test_an_alert_on_alerts_does_not_match_itself() -> None:
    alerts = 'max without (alertstate) (ALERTS{alertstate="firing"})'
    (finding,) = _escalation_findings(f'label_replace({alerts}, "escalated_alertname", "$1", "alertname", "(.+)")')
    assert "the result's label escalation_level is overwritten" in finding.message
