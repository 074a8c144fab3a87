"""What the panel "Pace of documents" says of services of different ages."""

from pathlib import Path

import pytest
import yaml

from monitoring.dashboards.business.documents_and_revenue import pace
from tests.contract.rule_files import FOLDER, promtool
from tools.checks.promtool import passes
from tools.checks.variables import as_sent

_LABELS = 'deployment_environment_name="production", service_name="signer"'
_STEP_SECONDS = 15
_A_STEP = 30


def _says(minutes: int, samples: list[dict[str, object]], folder: Path) -> bool:
    """Whether the panel shows these samples when so many minutes of steady documents are behind the service."""
    (target,) = pace().build().targets or []
    query = as_sent(target.expr, seconds=3600, step_seconds=_STEP_SECONDS)  # type: ignore[attr-defined]
    series = f'trust_document_processing_duration_seconds_count{{{_LABELS}, service_instance_id="1"}}'
    scene = {
        "rule_files": [str(FOLDER / "trust-service-recording.yml")],
        "evaluation_interval": f"{_STEP_SECONDS}s",
        "tests": [
            {
                "interval": f"{_STEP_SECONDS}s",
                "input_series": [{"series": series, "values": f"0+{_A_STEP}x{minutes * 60 // _STEP_SECONDS}"}],
                "promql_expr_test": [
                    {"expr": f"round({query}, 0.01)", "eval_time": f"{minutes}m", "exp_samples": samples}
                ],
            }
        ],
    }
    file = folder / "pace.yml"
    file.write_text(yaml.safe_dump(scene), encoding="utf-8")
    return passes(promtool(), file)


@pytest.mark.parametrize("minutes", [1, 5, 29])
def test_the_pace_of_a_young_service_is_not_known(minutes: int, tmp_path: Path) -> None:
    assert _says(minutes, [], tmp_path)


def test_steady_documents_keep_the_pace(tmp_path: Path) -> None:
    assert _says(61, [{"labels": '{service_name="signer"}', "value": 1}], tmp_path)
