"""Totals of the business dashboard are exact: for young services, several replicas, restarts and rollouts."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import yaml

from monitoring.dashboards.business.constants import DOCUMENTS, amount
from tests.contract.rule_files import FOLDER, promtool
from tools.checks.promtool import passes
from tools.checks.variables import as_sent

_STEP = 15
_LABELS = (
    'deployment_environment_name="production", service_namespace="trust", service_name="signer", '
    'trust_document_type="invoice", trust_outcome="success"'
)
_PER_STEP = (3, 0, 1, 7)
"""Documents between two exports, repeated: not an even rate, which an estimate would hit by chance."""


def _counter(steps: int) -> list[int]:
    """A counter from its 0, with so many exports."""
    return [0, *itertools.accumulate(itertools.islice(itertools.cycle(_PER_STEP), steps))]


def _replica(name: str, *values: int | str) -> tuple[str, str]:
    series = f'trust_document_processing_duration_seconds_count{{{_LABELS}, service_instance_id="{name}"}}'
    return series, " ".join(map(str, values))


def _absent(steps: int) -> list[str]:
    return ["_"] * steps


def _total_is(total: int, replicas: list[tuple[str, str]], at: str, seconds: int, folder: Path) -> bool:
    test = {
        "rule_files": [str(FOLDER / "trust-service-recording.yml")],
        "evaluation_interval": "2m",
        "tests": [
            {
                "interval": f"{_STEP}s",
                "input_series": [{"series": series, "values": values} for series, values in replicas],
                "promql_expr_test": [
                    {
                        "expr": as_sent(amount(DOCUMENTS), seconds=seconds, step_seconds=_STEP),
                        "eval_time": at,
                        "exp_samples": [{"labels": "{}", "value": total}],
                    }
                ],
            }
        ],
    }
    file = folder / "totals.yml"
    file.write_text(yaml.safe_dump(test), encoding="utf-8")
    return passes(promtool(), file)


@pytest.mark.parametrize("minutes", [2, 4, 6, 10, 60])
def test_total_of_a_young_service_is_exact(minutes: int, tmp_path: Path) -> None:
    # The first export comes when the service is some time old.
    counter = _counter(minutes * 60 // _STEP - 3)
    assert _total_is(counter[-1], [_replica("a", *_absent(3), *counter)], f"{minutes}m", 6 * 3600, tmp_path)


def test_total_after_the_traffic_stays(tmp_path: Path) -> None:
    counter = _counter(40)
    replica = _replica("a", *counter, *[counter[-1]] * 100)
    assert _total_is(counter[-1], [replica], "34m", 3600, tmp_path)


def test_total_over_a_restart_and_a_rollout_counts_every_replica(tmp_path: Path) -> None:
    first, second, third = _counter(28), _counter(22), _counter(26)
    replicas = [
        # Restarted with the same id: from 0 again. What it counted since the last evaluation is lost.
        _replica("a", *first, *second, *[second[-1]] * 40),
        # Gone without a final word.
        _replica("b", *first, *_absent(82)),
        _replica("c", *_absent(31), *third, *[third[-1]] * 40),
    ]
    assert _total_is(2 * first[-1] + second[-1] + third[-1], replicas, "24m", 3600, tmp_path)


def test_total_begins_with_the_time_range(tmp_path: Path) -> None:
    counter = _counter(240)
    # The start is at an evaluation of the rules, or between two.
    for minutes in (9, 10):
        counted = counter[240] - counter[240 - minutes * 60 // _STEP]
        assert _total_is(counted, [_replica("a", *counter)], "60m", minutes * 60, tmp_path)


def test_a_wrong_total_is_detected(tmp_path: Path) -> None:
    counter = _counter(40)
    assert not _total_is(counter[-1] + 1, [_replica("a", *counter)], "10m", 3600, tmp_path)
