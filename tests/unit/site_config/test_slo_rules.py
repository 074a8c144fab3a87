"""The recording rules of objectives."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tools.checks.promql import Selector, parse, walk
from trust_ops.site_config.objectives import REQUIRED_LIMITS, Objective
from trust_ops.site_config.slo_rules import rule_file


def rules(*objectives: Objective) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(rule_file(objectives))["groups"] for rule in group["rules"]]


def expressions(objective: Objective, name: str) -> list[str]:
    return [rule["expr"] for rule in rules(objective) if rule["record"] == name]


def matchers(objective: Objective, name: str = "service:slo_errors:rate5m") -> set[tuple[str, str, str]]:
    """Label, operator and value of each matcher on a metric of the service."""
    (expression,) = expressions(objective, name)
    return {
        (matcher.name, matcher.operator, matcher.value)
        for part in walk(parse(expression))
        if isinstance(part, Selector) and ":" not in part.name
        for matcher in part.matchers
    }


def test_a_site_without_objectives_has_a_file_without_rules() -> None:
    assert yaml.safe_load(rule_file(())) == {"groups": []}


@pytest.mark.parametrize(
    "text", ["/items/{id}", '/a"b', "/a\\d+", "/items/{id:path}", "/ä/$1", "/a b", "/{{ $labels }}"]
)
def test_a_route_is_matched_literally(text: str) -> None:
    objective = Objective(
        name="a", indicator="latency", service="shop", http_route=text, target=0.99, threshold_seconds=0.5
    )
    assert matchers(objective) == {
        ("service_name", "=", "shop"),
        ("http_route", "=", text),
        ("le", "=", "0.5"),
    }


def test_a_method_is_matched_in_grpc_only() -> None:
    objective = Objective(name="a", indicator="availability", grpc_method="shop.v1.Cart/Add", target=0.99)
    found = matchers(objective)
    assert ("rpc_method", "=", "shop.v1.Cart/Add") in found
    assert "http" not in expressions(objective, "service:slo_errors:rate5m")[0]


def test_the_scope_of_an_objective_is_in_every_selector() -> None:
    scope = {"service": "shop", "namespace": "eu", "environment": "production"}
    for indicator in ("availability", "latency", "validation"):
        threshold = {"threshold_seconds": 2} if indicator == "latency" else {}
        objective = Objective.model_validate(
            {"name": "a", "indicator": indicator, "target": 0.99, **scope, **threshold}
        )
        for name in ("service:slo_events:rate5m", "service:slo_errors:rate5m", "service:slo_errors:increase1h"):
            (expression,) = expressions(objective, name)
            for part in walk(parse(expression)):
                if isinstance(part, Selector) and ":" not in part.name:
                    values = {(matcher.name, matcher.value) for matcher in part.matchers}
                    assert {
                        ("service_name", "shop"),
                        ("service_namespace", "eu"),
                        ("deployment_environment_name", "production"),
                    } <= values


@pytest.mark.parametrize(("threshold", "matcher"), [(0.25, ("le", "=", "0.25")), (2, ("le", "=~", "2|2.0"))])
def test_the_bucket_is_found_as_each_exporter_writes_it(threshold: float, matcher: tuple[str, str, str]) -> None:
    objective = Objective(name="a", indicator="latency", target=0.99, threshold_seconds=threshold)
    assert matcher in matchers(objective)


def test_only_an_objective_that_pages_has_limits_for_a_fast_burn() -> None:
    limits = {"slo:error_limit_1h:ratio", "slo:error_limit_6h:ratio"}
    recorded = {rule["record"] for rule in rules(*REQUIRED_LIMITS)}
    assert not limits & recorded
    assert {"slo:error_limit_1d:ratio", "slo:error_limit_3d:ratio"} <= recorded
    assert limits <= {rule["record"] for rule in rules(Objective(name="a", indicator="availability", target=0.99))}


def test_the_budget_has_the_window_of_the_objective() -> None:
    objective = Objective(name="a", indicator="availability", target=0.99, window="1w")
    (expression,) = expressions(objective, "service:slo_error_budget_left:ratio")
    assert expression.count("[1w:5m]") == 2


def test_the_numbers_of_an_objective_are_series() -> None:
    objective = Objective(name="a", indicator="latency", target=0.999, threshold_seconds=2, window="30d")
    recorded = {rule["record"]: rule["expr"].strip() for rule in rules(objective) if rule["record"].startswith("slo:")}
    assert recorded == {
        "slo:objective:ratio": "vector(0.999)",
        "slo:error_budget:ratio": "vector(0.001)",
        "slo:latency_threshold:seconds": "vector(2)",
        "slo:error_limit_1h:ratio": "vector(0.0144)",
        "slo:error_limit_6h:ratio": "vector(0.006)",
        "slo:error_limit_1d:ratio": "vector(0.003)",
        "slo:error_limit_3d:ratio": "vector(0.001)",
    }
