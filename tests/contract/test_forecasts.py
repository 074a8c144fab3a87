"""The recording rules' forecasts of revenue, for series with a known future."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.contract.rule_files import FOLDER, promtool
from tools.checks.promtool import passes

_LABELS = (
    'deployment_environment_name="production", service_namespace="trust", service_name="signer", trust_currency="EUR"'
)
_RATE = "service:trust_revenue_amount:rate30m"
_DAY = 24
_WEEK = 7 * _DAY
_TOLERANCE = 0.01


def _season(hour: int) -> float:
    """Twice as much by day as at night, and a tenth at weekends."""
    by_day = 2.0 if 8 <= hour % _DAY < 20 else 1.0
    return by_day * (0.1 if hour % _WEEK >= 5 * _DAY else 1.0)


def _growing(hour: int) -> float:
    """Weekly growth by 4 % of the first week."""
    return _season(hour) * (10 + 0.4 * hour / _WEEK)


def _mean(course: Callable[[int], float], first: int, hours: int) -> float:
    return sum(course(hour) for hour in range(first + 1, first + hours + 1)) / hours


def _comes_true(folder: Path, series: dict[str, str], interval: str, at: str, expected: dict[str, float]) -> bool:
    tests = [
        {
            "expr": f"abs(service:trust_revenue_amount:{operation} / {value} - 1) < bool {_TOLERANCE}",
            "eval_time": at,
            "exp_samples": [{"labels": f"{{{_LABELS}}}", "value": 1}],
        }
        for operation, value in expected.items()
    ]
    scene = {
        "rule_files": [str(FOLDER / "trust-service-recording.yml")],
        "evaluation_interval": interval,
        "group_eval_order": ["trust-service.recording.business", "trust-service.recording.forecast"],
        "tests": [
            {
                "interval": interval,
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": tests,
            }
        ],
    }
    file = folder / "forecast.yml"
    file.write_text(yaml.safe_dump(scene), encoding="utf-8")
    return passes(promtool(), file)


def _hourly(course: Callable[[int], float], hours: int) -> dict[str, str]:
    return {f"{_RATE}{{{_LABELS}}}": " ".join(f"{course(hour):.6f}" for hour in range(hours + 1))}


@pytest.mark.parametrize("now", [2 * _WEEK + 10, 2 * _WEEK + 5 * _DAY, 3 * _WEEK - 3])
def test_seasonal_growth_continues(now: int, tmp_path: Path) -> None:
    expected = {
        "rate30m_expected": _growing(now),
        "rate1d_expected": _mean(_growing, now, _DAY),
        "rate1w_expected": _mean(_growing, now, _WEEK),
    }
    assert _comes_true(tmp_path, _hourly(_growing, now), "1h", f"{now}h", expected)


def test_the_start_of_the_second_week_is_compared_with_the_same_days(tmp_path: Path) -> None:
    now = _WEEK + _DAY
    expected = {"ratio1w": 1.0, "rate1d_expected": _mean(_season, now, _DAY)}
    assert _comes_true(tmp_path, _hourly(_season, now), "1h", f"{now}h", expected)


def test_in_the_first_week_the_last_day_is_repeated(tmp_path: Path) -> None:
    now = 3 * _DAY
    mean = _mean(_season, now - _DAY, _DAY)
    expected = dict.fromkeys(("rate30m_expected", "rate1d_expected", "rate1w_expected"), mean)
    assert _comes_true(tmp_path, _hourly(_season, now), "1h", f"{now}h", expected)


def test_after_ten_minutes_the_current_rate_is_expected(tmp_path: Path) -> None:
    earned = f'trust_revenue_amount_total{{{_LABELS}, service_instance_id="a"}}'
    expected = dict.fromkeys(("rate30m_expected", "rate1d_expected", "rate1w_expected"), 2.0)
    assert _comes_true(tmp_path, {earned: "0+30x40"}, "15s", "10m", expected)


def test_a_wrong_forecast_is_detected(tmp_path: Path) -> None:
    assert not _comes_true(tmp_path, _hourly(_season, 3 * _DAY), "1h", "3d", {"rate1d_expected": 7.0})
