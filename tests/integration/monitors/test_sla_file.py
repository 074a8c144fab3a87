"""The SLA file of a launched service."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CONTENT = """
[sla.fast]
metric = "trust.document.processing.duration"
threshold = 60
objective = 0.99
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "sla.toml"
    path.write_text(CONTENT)
    return path


def test_launched_service_evaluates_the_slas_of_the_file(launched: Callable[..., Any], path: Path) -> None:
    program = """
import time
from trust_otel import get_metrics
with get_metrics().document_processing("passport"):
    pass
"""
    ended = launched(program, TRUST_OTEL_SLA_FILE=str(path), OTEL_METRICS_EXPORTER="console")
    assert ended.returncode == 0, ended.stderr
    assert '"trust.sla.events"' in ended.stdout
    assert '"trust.sla.name": "fast"' in ended.stdout
