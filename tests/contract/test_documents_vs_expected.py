"""The panel "Documents vs. expected" for services of different ages."""

from pathlib import Path

import pytest
import yaml

from monitoring.dashboards.business.documents_and_revenue import documents_vs_expected
from tests.contract.rule_files import FOLDER, promtool
from tools.checks.promtool import passes
from tools.checks.variables import as_sent

_LABELS = 'deployment_environment_name="production", service_name="signer"'
_STEP_SECONDS = 15
_PER_STEP = 30


def _shows(minutes: int, samples: list[dict[str, object]], folder: Path) -> bool:
    """Whether the panel shows these samples after so many minutes of a constant document rate."""
    (target,) = documents_vs_expected().build().targets or []
    query = as_sent(target.expr, seconds=3600, step_seconds=_STEP_SECONDS)  # type: ignore[attr-defined]
    series = f'trust_document_processing_duration_seconds_count{{{_LABELS}, service_instance_id="1"}}'
    test = {
        "rule_files": [str(FOLDER / "trust-service-recording.yml")],
        "evaluation_interval": f"{_STEP_SECONDS}s",
        "tests": [
            {
                "interval": f"{_STEP_SECONDS}s",
                "input_series": [{"series": series, "values": f"0+{_PER_STEP}x{minutes * 60 // _STEP_SECONDS}"}],
                "promql_expr_test": [
                    {"expr": f"round({query}, 0.01)", "eval_time": f"{minutes}m", "exp_samples": samples}
                ],
            }
        ],
    }
    file = folder / "documents.yml"
    file.write_text(yaml.safe_dump(test), encoding="utf-8")
    return passes(promtool(), file)


@pytest.mark.parametrize("minutes", [1, 5, 29])
def test_nothing_is_shown_in_the_first_half_hour_of_a_service(minutes: int, tmp_path: Path) -> None:
    assert _shows(minutes, [], tmp_path)


def test_a_steady_rate_is_100_percent_of_the_expected(tmp_path: Path) -> None:
    assert _shows(61, [{"labels": '{service_name="signer"}', "value": 1}], tmp_path)
