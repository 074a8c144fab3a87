"""What was never measured is not shown as a number: of a service that reports only itself, panels are empty."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.contract.rule_files import promtool
from tests.support.dashboards import Query, queries
from tools.checks.promtool import unit_test_failures

_SERVICE = 'deployment_environment_name="production", service_namespace="trust", service_name="signer"'
_SERIES = (
    f'trust_otel_instance_up{{{_SERVICE}, service_instance_id="a", service_version="1"}}',
    f"service:trust_otel_instances:count{{{_SERVICE}}}",
    'ALERTS{alertname="TrustWatchdog", alertstate="firing", severity="none", team="platform", service="monitoring"}',
)

_KNOWN_TO_EVERY_SERVICE = {
    "operational 1A": "no alert fires for the service, and rules are evaluated",
    "operational 1B": "its instances are counted",
    "operational 9A": "TrustWatchdog fires",
    "security 34A": "it reports",
    "monitoring 6A": "its series are counted",
    "monitoring 20A": "the age of its samples is known",
    "monitoring 21A": "TrustWatchdog fires",
}
"""Queries that need no further measurement, with the reason."""


def _of_a_silent_service(shown: list[Query], folder: Path) -> set[str]:
    """The queries with a value other than NaN for a service that records nothing."""
    scene = {
        "rule_files": [],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": "1x240"} for name in _SERIES],
                "promql_expr_test": [{"expr": _number(query), "eval_time": "1h", "exp_samples": []}],
            }
            for query in shown
        ],
    }
    file = folder / "silent.yml"
    file.write_text(yaml.safe_dump(scene, width=100_000), encoding="utf-8")
    # Quoted as Go does, which for these texts is as in JSON.
    failed = {json.loads(quoted) for quoted in re.findall(r'expr: (".*"), time', unit_test_failures(promtool(), file))}
    return {query.key for query in shown if _number(query) in failed}


def _number(query: Query) -> str:
    """The query without NaN, which is no number and compares with none."""
    return f"({query.promql(3600)}) >= -Inf"


def test_a_service_that_records_nothing_has_no_numbers(tmp_path: Path) -> None:
    assert _of_a_silent_service(queries(), tmp_path) == _KNOWN_TO_EVERY_SERVICE.keys()


@pytest.mark.parametrize("filler", ["vector(0)", "sum(trust_otel_instance_up) * 0"])
def test_a_green_zero_is_found(filler: str, tmp_path: Path) -> None:
    zero = Query("x", 1, "Zero", "stat", "A", f"sum(increase(trust_audit_events_total[1h])) or {filler}", True, {})
    assert _of_a_silent_service([zero], tmp_path) == {"x 1A"}
