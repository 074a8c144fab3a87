"""Prometheus accepts its configuration and rules with scaled durations."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from testbed.drill.scaling import write_scaled
from trust_ops.stack.binaries import find
from trust_ops.stack.recipes import binaries


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scaled") / "prometheus"
    write_scaled(folder, 30)
    return folder


def test_prometheus_accepts_the_scaled_files(folder: Path) -> None:
    promtool = find(binaries()["promtool"], os.environ, print)
    answer = subprocess.run(
        [promtool, "check", "config", "--lint=none", folder / "prometheus.yml"], capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
