"""A compliance control that is no longer checked is red on the security dashboard."""

from pathlib import Path

import pytest
import yaml

from tests.contract.rule_files import promtool
from tests.support.dashboards import queries
from tools.checks.promtool import passes

_CONTROL = 'trust_compliance_framework="eidas", trust_compliance_control="signature_policy"'
_SERVICE = 'deployment_environment_name="production", service_namespace="trust", service_name="signer"'
_RECORDED = f"service_control:trust_compliance_checks:increase2m{{{_SERVICE}, {_CONTROL}}}"
_QUERIES = {query.key: query for query in queries()}
_CHECKS, _UNCHECKED = _QUERIES["security 10E"], _QUERIES["security 25B"]


def _shows(checks: int, unchecked: int, values: str, days: int, folder: Path) -> bool:
    expected = ((_CHECKS, f"{{{_CONTROL}}}", checks), (_UNCHECKED, "{}", unchecked))
    tests = [
        {
            "expr": query.promql(3600),
            "eval_time": f"{days}d",
            "exp_samples": [{"labels": labels, "value": value}],
        }
        for query, labels, value in expected
    ]
    series = [{"series": _RECORDED, "values": values}]
    scene = {"rule_files": [], "tests": [{"interval": "1h", "input_series": series, "promql_expr_test": tests}]}
    file = folder / "controls.yml"
    file.write_text(yaml.safe_dump(scene), encoding="utf-8")
    return passes(promtool(), file)


def test_a_control_that_is_checked_is_not_red(tmp_path: Path) -> None:
    assert _shows(24, 0, "1x72", 3, tmp_path)
    assert not _CHECKS.is_red(24)
    assert not _UNCHECKED.is_red(0)


@pytest.mark.parametrize("values", ["1x24", "1x24 0x48"], ids=["its service ended", "no longer checked"])
def test_a_control_without_a_check_for_a_day_is_red(values: str, tmp_path: Path) -> None:
    assert _shows(0, 1, values, 3, tmp_path)
    assert _CHECKS.is_red(0)
    assert _UNCHECKED.is_red(1)


def test_a_control_is_listed_for_a_week(tmp_path: Path) -> None:
    assert _shows(0, 1, "1x24", 7, tmp_path)
    assert not _shows(0, 1, "1x24", 9, tmp_path)
