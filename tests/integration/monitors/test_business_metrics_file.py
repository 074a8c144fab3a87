"""The file of business metrics of a launched service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

_PROGRAM = """
from trust_otel import get_metrics
get_metrics().record_business_metric("visits", 3)
"""


def test_launched_service_exports_the_kpis_of_the_file(launched: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "kpis.toml"
    path.write_text('[kpi.visits]\nkind = "counter"\n')
    ended = launched(_PROGRAM, TRUST_OTEL_BUSINESS_METRICS_FILE=str(path), OTEL_METRICS_EXPORTER="console")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert '"trust.kpi.amount"' in ended.stdout
    assert '"trust.kpi.name": "visits"' in ended.stdout


def test_error_in_the_file_is_logged_with_the_path_and_a_fix(launched: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "kpis.toml"
    path.write_text('[kpi.visits]\nkind = "sum"\n')
    ended = launched(_PROGRAM, TRUST_OTEL_BUSINESS_METRICS_FILE=str(path), OTEL_METRICS_EXPORTER="console")
    assert ended.returncode == 0
    assert f"{path}: KPI 'visits': kind = 'sum' is not usable; set counter" in ended.stderr
