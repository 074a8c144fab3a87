"""Prometheus' configuration and rules in which time runs faster."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from testbed.drill.scaling import scaled_duration, scaled_expression, scaled_seconds, write_scaled
from trust_ops.stack.binaries import find
from trust_ops.stack.recipes import binaries


@pytest.mark.parametrize(("duration", "scaled"), [("5m", "10000ms"), ("10s", "333ms"), ("1d", "2880000ms")])
def test_a_duration_is_divided(duration: str, scaled: str) -> None:
    assert scaled_duration(duration, 30) == scaled


def test_no_duration_becomes_nothing() -> None:
    assert scaled_seconds("1ms", 60) == 0.001


def test_what_is_no_duration_is_named() -> None:
    with pytest.raises(ValueError, match="'soon'"):
        scaled_seconds("soon", 2)


def test_ranges_and_offsets_are_divided_and_names_and_numbers_are_not() -> None:
    expression = 'max_over_time(service:x:rate5m[1h:1m]) > 5 and rate(x{le="5"}[5m] offset 1w) > 2 * 86400'
    faster = 'max_over_time(service:x:rate5m[360000ms:6000ms]) > 5 and rate(x{le="5"}[30000ms] offset 60480000ms)'
    assert scaled_expression(expression, 10) == f"{faster} > 2 * 86400"


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


def test_every_wait_of_the_rules_is_divided(folder: Path) -> None:
    own = Path(__file__).parents[3] / "monitoring" / "prometheus" / "trust-service-alerts.yml"
    before, after = (yaml.safe_load(file.read_text())["groups"] for file in (own, folder / own.name))
    for usual, faster in zip(before, after, strict=True):
        for slow, fast in zip(usual["rules"], faster["rules"], strict=True):
            for field in ("for", "keep_firing_for"):
                assert (field in slow) == (field in fast)
                if field in slow:
                    assert fast[field] == scaled_duration(slow[field], 30)


def test_rules_that_only_dashboards_read_are_left_out(folder: Path) -> None:
    recorded = yaml.safe_load((folder / "trust-service-recording.yml").read_text())["groups"]
    names = {group["name"] for group in recorded}
    assert "trust-service.recording.kpi" not in names
    assert "trust-service.recording.http" in names
