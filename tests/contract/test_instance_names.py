"""The names of instances on dashboards."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from monitoring.dashboards.queries import named
from tests.contract.rule_files import promtool
from tools.checks.promtool import passes

_ID = "3f2a1b4c-0d9e-4a7b-8c1d-2e3f4a5b6c7d"
_POD = "signer-7d9c8b6f5-x2x4z"


@pytest.mark.parametrize(
    ("identifier", "pod", "host", "name"),
    [
        pytest.param(_ID, _POD, _POD, f"{_POD} 3f2a1b4c", id="pod"),
        pytest.param(_ID, _POD, "", f"{_POD} 3f2a1b4c", id="pod without host"),
        pytest.param(_ID, "", "vm-1.example.com", "signer vm-1.example.com 3f2a1b4c", id="host"),
        pytest.param(_ID, "", "", "signer 3f2a1b4c", id="neither"),
        pytest.param(f"{_ID}-a1b2c3d4e5f6", _POD, _POD, f"{_POD} 3f2a1b4c-a1b2c3d4e5f6", id="configured UUID"),
        pytest.param("signer-0-a1b2c3d4e5f6", _POD, _POD, "signer signer-0-a1b2c3d4e5f6", id="configured name"),
        pytest.param("signer-0", "", "", "signer signer-0", id="configured name without place"),
        pytest.param("line 1 (left)", "", "vm-1", "signer line 1 (left)", id="blanks and special characters"),
        pytest.param("DEADBEEF", "", "vm-1", "signer DEADBEEF", id="other digits"),
    ],
)
def test_an_instance_has_a_short_name(identifier: str, pod: str, host: str, name: str, tmp_path: Path) -> None:
    labels = {"service_name": "signer", "service_instance_id": identifier, "k8s_pod_name": pod, "host_name": host}
    pairs = ", ".join(f'{label}="{value}"' for label, value in labels.items() if value)
    test = {
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": f"a{{{pairs}}}", "values": "7x4"}],
                "promql_expr_test": [
                    {
                        "expr": named("a"),
                        "eval_time": "1m",
                        "exp_samples": [{"labels": f'{{instance_name="{name}"}}', "value": 7}],
                    }
                ],
            }
        ],
    }
    file = tmp_path / "names.yml"
    file.write_text(yaml.safe_dump(test), encoding="utf-8")
    assert passes(promtool(), file)
