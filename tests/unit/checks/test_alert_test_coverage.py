"""Coverage of alerts by the unit tests of the rules."""

from pathlib import Path

import pytest
import yaml

from tools.checks.alert_test_coverage import missing_coverage, read_test_groups
from tools.checks.rules import rules_in

_CRITICAL, _WARNING, _WATCHDOG = rules_in(
    """
    groups:
      - name: a
        rules:
          - {alert: Full, expr: a > 1, labels: {severity: critical, service: "{{ $labels.x }}"}}
          - {alert: Full, expr: a > 2, labels: {severity: warning}}
          - {alert: TrustWatchdog, expr: vector(1), labels: {severity: info}}
    """,
    "a.yml",
)
_DISK = {"severity": "critical", "service": "x"}
_OTHER = {"severity": "critical", "service": "y"}


def _missing_coverage(tmp_path: Path, *groups: dict[str, list[dict[str, str]]], interval: str = "10s") -> str | None:
    tests = [
        {
            "name": "a",
            "alert_rule_test": [
                {"eval_time": time, "alertname": "Full", "exp_alerts": [{"exp_labels": labels} for labels in expected]}
                for time, expected in group.items()
            ],
        }
        for group in groups
    ]
    file = tmp_path / "Full.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": interval, "tests": tests}))
    return missing_coverage(_CRITICAL, read_test_groups(file))


def test_an_alert_that_fires_and_resolves_is_covered(tmp_path: Path) -> None:
    assert _missing_coverage(tmp_path, {"4m": [], "5m": [_DISK], "20m": []}) is None


def test_an_alert_is_covered_while_another_series_keeps_firing(tmp_path: Path) -> None:
    assert _missing_coverage(tmp_path, {"4m": [_OTHER], "5m": [_DISK, _OTHER], "20m": [_OTHER]}) is None


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([{"4m": []}], "no test expects it"),
        ([{"5m": [{"severity": "warning"}]}], "no test expects it"),
        ([{"5m": [_DISK], "20m": []}], "up to a minute before"),
        ([{"3m59s": [], "5m": [_DISK], "20m": []}], "up to a minute before"),
        ([{"4m": [], "5m": [_DISK]}], "expects that it stops firing"),
        ([{"4m": [], "5m": [_DISK]}, {"5m": [_DISK], "20m": []}], "expects that it stops firing"),
    ],
)
def test_missing_coverage_is_reported(
    tmp_path: Path, groups: list[dict[str, list[dict[str, str]]]], message: str
) -> None:
    assert message in (_missing_coverage(tmp_path, *groups) or "")


def test_a_longer_evaluation_interval_replaces_the_minute(tmp_path: Path) -> None:
    assert _missing_coverage(tmp_path, {"0m": [], "5m": [_DISK], "20m": []}, interval="5m") is None


def test_an_alert_that_always_fires_only_has_to_fire(tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    case = {"eval_time": "0s", "alertname": "TrustWatchdog", "exp_alerts": [{"exp_labels": {"severity": "info"}}]}
    file.write_text(yaml.safe_dump({"tests": [{"name": "a", "alert_rule_test": [case]}]}))
    assert missing_coverage(_WATCHDOG, read_test_groups(file)) is None
    assert missing_coverage(_WARNING, read_test_groups(file)) == "no test expects it"
