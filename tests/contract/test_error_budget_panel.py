"""The panel of error budgets shows what is declared: with events, without events, and nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.dashboards.operational import requests
from tests.contract.rule_files import promtool
from tools.checks.promtool import unit_test_failures
from tools.checks.variables import as_sent
from trust_ops.site_config.objectives import Objective
from trust_ops.site_config.slo_rules import rule_file

_SERVICE = 'deployment_environment_name="production", service_name="cart", service_instance_id="a"'
_REQUESTS = {
    f'http_server_request_duration_seconds_count{{{_SERVICE}, http_response_status_code="200"}}': "0+98x480",
    f'http_server_request_duration_seconds_count{{{_SERVICE}, http_response_status_code="500"}}': "0+2x480",
}
_AVAILABLE = Objective(name="available", indicator="availability", target=0.9, window="7d")
_FAST = Objective(name="fast", indicator="latency", service="other", target=0.99, threshold_seconds=0.5)
_CART, _NONE = '{service_name="cart", slo="available"}', '{slo="fast"}'

Columns = Mapping[str, Mapping[str, float]]


def _difference(objectives: Sequence[Objective], columns: Columns, folder: Path) -> str:
    """What promtool finds if the columns do not have exactly these rounded values, by labels."""
    (folder / "slo.yml").write_text(rule_file(objectives), encoding="utf-8")
    targets: list[Any] = requests.error_budgets().build().targets or []
    names = ("Target", "Budget left", "5m", "1h", "6h", "1d")
    test = {
        "rule_files": ["slo.yml"],
        "evaluation_interval": "1m",
        "group_eval_order": [
            f"trust-service.recording.slo.{name}"
            for name in ("objectives", "events", "windows", "long_windows", "budget")
        ],
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in _REQUESTS.items()],
                "promql_expr_test": [
                    {
                        "expr": f"round({as_sent(target.expr, seconds=3600, step_seconds=15)}, 0.01)",
                        "eval_time": "2h",
                        "exp_samples": [{"labels": labels, "value": value} for labels, value in columns[name].items()],
                    }
                    for name, target in zip(names, targets, strict=True)
                ],
            }
        ],
    }
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump(test), encoding="utf-8")
    return unit_test_failures(promtool(), file)


_BURNS = {window: {_CART: 0.2} for window in ("5m", "1h", "6h", "1d")}


def test_an_objective_with_events_has_target_budget_and_burn_rates(tmp_path: Path) -> None:
    columns: Columns = {"Target": {_CART: 0.9}, "Budget left": {_CART: 0.8}, **_BURNS}
    assert _difference([_AVAILABLE], columns, tmp_path) == ""


def test_an_objective_without_events_is_listed_without_values(tmp_path: Path) -> None:
    columns: Columns = {"Target": {_CART: 0.9, _NONE: 0.99}, "Budget left": {_CART: 0.8}, **_BURNS}
    assert _difference([_AVAILABLE, _FAST], columns, tmp_path) == ""


@pytest.mark.parametrize("objectives", [(), (_FAST,)])
def test_nothing_is_green_without_events(objectives: Sequence[Objective], tmp_path: Path) -> None:
    nothing: Columns = {name: {} for name in ("Budget left", "5m", "1h", "6h", "1d")}
    target = {_NONE: 0.99} if objectives else {}
    assert _difference(objectives, {"Target": target, **nothing}, tmp_path) == ""


def test_the_panel_says_that_no_objective_is_declared() -> None:
    text = requests.error_budgets().build().field_config
    assert text is not None
    assert text.defaults.no_value == "No objective is declared. Add objectives to the site file."
