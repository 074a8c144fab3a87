"""The panel "Active user sessions" in each process model."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from monitoring.dashboards.operational.requests import active_sessions
from tests.contract.rule_files import promtool
from tools.checks.promtool import passes
from tools.checks.variables import as_sent

Series = dict[tuple[str, str, str], str]
"""Values by metric, environment and instance."""


def _shows(series: Series, samples: list[int], folder: Path) -> bool:
    """Whether the panel shows these numbers of the service."""
    (target,) = active_sessions().build().targets or []
    query = as_sent(target.expr, seconds=3600, step_seconds=15)  # type: ignore[attr-defined]
    test = {
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [
                    {
                        "series": (
                            f'{name}{{deployment_environment_name="{environment}", service_namespace="trust", '
                            f'service_name="signer", service_instance_id="{instance}"}}'
                        ),
                        "values": values,
                    }
                    for (name, environment, instance), values in series.items()
                ],
                "promql_expr_test": [
                    {
                        "expr": query,
                        "eval_time": "1m",
                        "exp_samples": [{"labels": '{service_name="signer"}', "value": each} for each in samples],
                    }
                ],
            }
        ],
    }
    file = folder / "sessions.yml"
    file.write_text(yaml.safe_dump(test), encoding="utf-8")
    return passes(promtool(), file)


@pytest.mark.parametrize(
    ("series", "shown"),
    [
        pytest.param({("trust_session_active", "production", "a"): "3x4"}, [3], id="one process"),
        pytest.param(
            {("trust_session_active", "production", "a"): "1x4", ("trust_session_active", "production", "b"): "-1x4"},
            [0],
            id="started in one process and ended in another",
        ),
        pytest.param({("trust_session_active", "production", "a"): "-2x4"}, [0], id="started before a restart"),
        pytest.param(
            {
                ("trust_session_active", "production", "a"): "1 stale",
                ("trust_session_active", "production", "b"): "-1x4",
            },
            [0],
            id="started in a process that has ended",
        ),
        pytest.param(
            {("trust_session_active", "production", "a"): "5x4", ("trust_session_active", "staging", "b"): "-3x4"},
            [5],
            id="below 0 in another environment",
        ),
        pytest.param(
            {("trust_session_stored", "production", each): "40x4" for each in "abcd"},
            [40],
            id="workers that report one store",
        ),
        pytest.param(
            {
                ("trust_session_stored", "production", "a"): "40x4",
                ("trust_session_stored", "production", "b"): "41x4",
                ("trust_session_active", "production", "a"): "-7x4",
            },
            [41],
            id="mixed use",
        ),
        pytest.param(
            {("trust_session_stored", "production", "a"): "40x4", ("trust_session_active", "staging", "b"): "2x4"},
            [40],
            id="another kind in another environment",
        ),
        pytest.param({}, [], id="no sessions"),
    ],
)
def test_panel_shows_open_sessions(series: Series, shown: list[int], tmp_path: Path) -> None:
    assert _shows(series, shown, tmp_path)
