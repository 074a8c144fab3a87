"""The rules of objectives, with promtool: the published ones, those of the examples, and objectives of routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.objectives import PUBLISHED, TESTED
from tests.contract.rule_files import FILES, FOLDER, promtool
from tools.checks.promtool import complaints, unit_test_failures
from tools.checks.rulebook import check_rules
from tools.checks.rules import rules_in, with_rules
from tools.checks.vocabulary import declared
from trust_ops.site_config.objectives import REQUIRED_LIMITS, Objective
from trust_ops.site_config.site_file import read_site
from trust_ops.site_config.slo_rules import rule_file

_ROOT = FOLDER.parents[1]
_SITES = tuple(
    _ROOT / name / "site.yml" for name in ("examples/demo", "testbed/drill", "monitoring/prometheus/tests/slo")
)
_SERVICE = 'service_namespace="shop", service_name="cart", service_instance_id="a"'
_ALERTS = ("TrustAvailabilityBudgetBurn", "TrustLatencyBudgetBurn", "TrustValidationBudgetBurn")
_GROUPS = ("objectives", "events", "windows", "long_windows", "budget")


def _rules_of(site: Path) -> str:
    return rule_file(read_site(site.read_text(encoding="utf-8"), str(site)).objectives)


def test_the_published_objectives_are_up_to_date() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == rule_file(REQUIRED_LIMITS)


def test_the_objectives_of_the_unit_tests_are_up_to_date() -> None:
    assert TESTED.read_text(encoding="utf-8") == _rules_of(TESTED.with_name("site.yml"))


@pytest.mark.parametrize("version", ["promtool", "promtool_2_42"])
@pytest.mark.parametrize("file", _SITES, ids=lambda file: file.parent.name)
def test_promtool_accepts_the_rules_of_a_site(file: Path, version: str, tmp_path: Path) -> None:
    rules = tmp_path / "slo.yml"
    rules.write_text(_rules_of(file), encoding="utf-8")
    assert complaints(promtool(version), [rules]) == ""


def test_the_checks_find_nothing_in_the_published_and_the_examples_rules() -> None:
    for text in (rule_file(REQUIRED_LIMITS), *(_rules_of(file) for file in _SITES)):
        rules = rules_in(text, PUBLISHED.name)
        # What is not read here is read by the alerts, or silenced.
        readers = frozenset(rule.name for rule in rules if not rule.silences)
        found = check_rules(rules, with_rules(declared(), rules), readers)
        assert [str(finding) for findings in found.values() for finding in findings] == []


def _requests(count: str, *, route: str = "/items/{id}", status: str = "200", **more: str) -> dict[str, str]:
    labels = {"deployment_environment_name": "production", "http_route": route, "http_response_status_code": status}
    text = ", ".join(f'{name}="{value}"' for name, value in {**labels, **more}.items())
    return {f"http_server_request_duration_seconds_count{{{_SERVICE}, {text}}}": count}


def _fast_requests(count: str, le: str) -> dict[str, str]:
    labels = f'deployment_environment_name="production", http_route="/items/{{id}}", le="{le}"'
    return {f"http_server_request_duration_seconds_bucket{{{_SERVICE}, {labels}}}": count}


def _calls(count: str, *, method: str, status: str = "OK") -> dict[str, str]:
    labels = f'rpc_method="{method}", trust_rpc_type="unary", rpc_response_status_code="{status}"'
    return {f"rpc_server_call_duration_seconds_count{{{_SERVICE}, {labels}}}": count}


def _failures(
    folder: Path,
    objectives: Sequence[Objective],
    series: Mapping[str, str],
    at: str,
    fires: Mapping[str, Sequence[tuple[str, str]]],
    queries: Mapping[str, float] | None = None,
) -> str:
    """What promtool finds if not exactly these alerts fire: by name, severity and objective."""
    (folder / "slo.yml").write_text(rule_file(objectives), encoding="utf-8")
    (folder / "alerts.yml").write_text(_burn_alerts(), encoding="utf-8")
    test = {
        "rule_files": ["slo.yml", "alerts.yml"],
        "evaluation_interval": "1m",
        "group_eval_order": [*(f"trust-service.recording.slo.{name}" for name in _GROUPS), "trust-service.slo"],
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": _firing(name),
                        "eval_time": at,
                        "exp_samples": [
                            {"labels": f'{{alertname="{name}", severity="{severity}", slo="{slo}"}}', "value": 1}
                            for severity, slo in fires.get(name, ())
                        ],
                    }
                    for name in _ALERTS
                ]
                + [
                    {"expr": query, "eval_time": at, "exp_samples": [{"labels": "{}", "value": value}]}
                    for query, value in (queries or {}).items()
                ],
            }
        ],
    }
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump(test), encoding="utf-8")
    return unit_test_failures(promtool(), file)


def _firing(name: str) -> str:
    return f'count by (alertname, severity, slo) (ALERTS{{alertname="{name}", alertstate="firing"}})'


def _burn_alerts() -> str:
    groups: list[dict[str, Any]] = yaml.safe_load(FILES[-1].read_text(encoding="utf-8"))["groups"]
    return yaml.safe_dump({"groups": [group for group in groups if group["name"] == "trust-service.slo"]})


def test_a_latency_of_0_59_s_raises_nothing_without_declared_objectives(tmp_path: Path) -> None:
    series = {
        **_requests("0+100x1200"),
        # No request is faster than half a second, and all are faster than 2 s.
        **_fast_requests("0x1200", "0.5"),
        **_fast_requests("0+100x1200", "2.0"),
    }
    assert _failures(tmp_path, REQUIRED_LIMITS, series, "5h", {}) == ""
    assert _failures(tmp_path, (), series, "5h", {}) == ""


def test_an_outage_without_declared_objectives_is_a_warning(tmp_path: Path) -> None:
    series = {**_requests("0+100x1200", status="500"), **_requests("0+1x1200")}
    expected = {"TrustAvailabilityBudgetBurn": [("warning", "availability")]}
    assert _failures(tmp_path, REQUIRED_LIMITS, series, "5h", expected) == ""


def test_an_objective_that_is_declared_pages_for_a_latency_of_0_59_s(tmp_path: Path) -> None:
    objective = Objective(name="fast", indicator="latency", target=0.95, threshold_seconds=0.5)
    series = {**_requests("0+100x1200"), **_fast_requests("0x1200", "0.5")}
    expected = {"TrustLatencyBudgetBurn": [("critical", "fast"), ("warning", "fast")]}
    assert _failures(tmp_path, [objective], series, "5h", expected) == ""


@pytest.mark.parametrize("route", ["/items/{id}", "/items/{id:path}", "/a.b", "/a|b"])
def test_an_objective_of_a_route_counts_only_its_requests(route: str, tmp_path: Path) -> None:
    objective = Objective(
        name="one-route", indicator="availability", service="cart", namespace="shop", http_route=route, target=0.99
    )
    other = {**_requests("0+100x240", route="/items/{ID}"), **_requests("0+10x240", route="/items/{ID}", status="500")}
    failing = {**_requests("0+100x240", route=route), **_requests("0+10x240", route=route, status="500")}
    fine = _requests("0+100x240", route=route)
    expected = {"TrustAvailabilityBudgetBurn": [("critical", "one-route")]}
    assert _failures(tmp_path, [objective], {**other, **failing}, "20m", expected) == ""
    assert _failures(tmp_path, [objective], {**other, **fine}, "20m", {}) == ""


def test_an_objective_of_a_method_counts_only_its_calls(tmp_path: Path) -> None:
    objective = Objective(name="adding", indicator="availability", grpc_method="shop.v1.Cart/Add", target=0.99)
    other = {**_calls("0+10x240", method="shop.v1.Cart/Get", status="INTERNAL"), **_requests("0+10x240", status="500")}
    failing = _calls("0+10x240", method="shop.v1.Cart/Add", status="INTERNAL")
    fine = _calls("0+100x240", method="shop.v1.Cart/Add")
    expected = {"TrustAvailabilityBudgetBurn": [("critical", "adding")]}
    assert _failures(tmp_path, [objective], {**other, **failing, **fine}, "20m", expected) == ""
    assert _failures(tmp_path, [objective], {**other, **fine}, "20m", {}) == ""


@pytest.mark.parametrize(("environment", "fires"), [("staging", False), ("production", True)])
def test_an_objective_of_an_environment_counts_only_its_requests(environment: str, fires: bool, tmp_path: Path) -> None:
    objective = Objective(name="live", indicator="availability", environment=environment, target=0.99)
    series = {**_requests("0+100x240"), **_requests("0+10x240", status="500")}
    expected = {"TrustAvailabilityBudgetBurn": [("critical", "live")]} if fires else {}
    assert _failures(tmp_path, [objective], series, "20m", expected) == ""


def test_the_budget_left_counts_each_event_of_the_window_once(tmp_path: Path) -> None:
    objective = Objective(name="weekly", indicator="availability", target=0.9, window="7d", page=False)
    # 4 % fail for an hour, 40 % of the budget; then half as many requests without errors make it 2.67 %.
    series = {**_requests("0+96x240 23040+50x240"), **_requests("0+4x240 960x240", status="500")}
    left = {"round(sum by () (service:slo_error_budget_left:ratio), 0.01)": 0.73}
    assert _failures(tmp_path, [objective], series, "2h", {"TrustAvailabilityBudgetBurn": []}, left) == ""
