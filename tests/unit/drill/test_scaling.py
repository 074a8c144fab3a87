"""The Prometheus configuration and rules with scaled durations."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from testbed.drill.scaling import scaled_duration, scaled_expression, scaled_seconds, write_scaled


@pytest.mark.parametrize(("duration", "scaled"), [("5m", "10000ms"), ("10s", "333ms"), ("1d", "2880000ms")])
def test_a_duration_is_divided_by_the_factor(duration: str, scaled: str) -> None:
    assert scaled_duration(duration, 30) == scaled


def test_a_scaled_duration_is_at_least_a_millisecond() -> None:
    assert scaled_seconds("1ms", 60) == 0.001


def test_invalid_duration_error_names_the_duration() -> None:
    with pytest.raises(ValueError, match="'soon'"):
        scaled_seconds("soon", 2)


def test_only_ranges_and_offsets_of_an_expression_are_scaled() -> None:
    expression = 'max_over_time(service:x:rate5m[1h:1m]) > 5 and rate(x{le="5"}[5m] offset 1w) > 2 * 86400'
    expected = 'max_over_time(service:x:rate5m[360000ms:6000ms]) > 5 and rate(x{le="5"}[30000ms] offset 60480000ms)'
    assert scaled_expression(expression, 10) == f"{expected} > 2 * 86400"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scaled") / "prometheus"
    write_scaled(folder, 30)
    return folder


def test_for_and_keep_firing_for_are_scaled(folder: Path) -> None:
    source = Path(__file__).parents[3] / "monitoring" / "prometheus" / "trust-service-alerts.yml"
    before, after = (yaml.safe_load(file.read_text())["groups"] for file in (source, folder / source.name))
    for original_group, scaled_group in zip(before, after, strict=True):
        for original, scaled in zip(original_group["rules"], scaled_group["rules"], strict=True):
            for field in ("for", "keep_firing_for"):
                assert (field in original) == (field in scaled)
                if field in original:
                    assert scaled[field] == scaled_duration(original[field], 30)


def test_recording_rules_read_only_by_dashboards_are_left_out(folder: Path) -> None:
    recorded = yaml.safe_load((folder / "trust-service-recording.yml").read_text())["groups"]
    names = {group["name"] for group in recorded}
    assert "trust-service.recording.kpi" not in names
    assert "trust-service.recording.http" in names
