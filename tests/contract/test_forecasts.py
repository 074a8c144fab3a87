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


def _has_none(folder: Path, series: dict[str, str], at: str, names: tuple[str, ...]) -> bool:
    tests: list[dict[str, object]] = [
        {"expr": f"service:trust_revenue_amount:{name}", "eval_time": at, "exp_samples": []} for name in names
    ]
    return _passes(folder, series, "1h", tests)


def _comes_true(folder: Path, series: dict[str, str], interval: str, at: str, expected: dict[str, float]) -> bool:
    tests: list[dict[str, object]] = [
        {
            "expr": f"abs(service:trust_revenue_amount:{operation} / {value} - 1) < bool {_TOLERANCE}",
            "eval_time": at,
            "exp_samples": [{"labels": f"{{{_LABELS}}}", "value": 1}],
        }
        for operation, value in expected.items()
    ]
    return _passes(folder, series, interval, tests)


def _passes(folder: Path, series: dict[str, str], interval: str, tests: list[dict[str, object]]) -> bool:
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


def test_without_eight_days_of_history_there_is_no_forecast(tmp_path: Path) -> None:
    names = ("rate30m_expected", "rate1d_expected", "rate1w_expected")
    assert _has_none(tmp_path, _hourly(_season, _WEEK + 12), f"{_WEEK + 12}h", names)
    assert not _has_none(tmp_path, _hourly(_season, _WEEK + _DAY), f"{_WEEK + _DAY}h", names)


def test_a_doubled_week_does_not_double_the_forecast(tmp_path: Path) -> None:
    def doubled(hour: int) -> float:
        return _season(hour) * (2 if hour >= _WEEK else 1)

    now = 2 * _WEEK + 1
    forecast = _mean(_season, now, _WEEK) * 1.5 * 1.15**1.5
    assert _comes_true(tmp_path, _hourly(doubled, now), "1h", f"{now}h", {"rate1w_expected": forecast})
    assert forecast < 2 * _mean(_season, now, _WEEK)


def test_a_week_without_revenue_does_not_end_the_forecast(tmp_path: Path) -> None:
    def idle(hour: int) -> float:
        return 0 if hour > _WEEK else _season(hour)

    now = 2 * _WEEK
    forecast = _mean(_season, now, _WEEK) / 2 * 0.85**1.5
    assert _comes_true(tmp_path, _hourly(idle, now), "1h", f"{now}h", {"rate1w_expected": forecast})


@pytest.mark.parametrize(
    ("growth", "error"), [(1.1, 0.1), (0.7, 0.3), (2.0, 1.0), (5.0, 1.0)], ids=lambda each: f"{each:g}"
)
def test_the_error_is_the_difference_from_the_week_before(growth: float, error: float, tmp_path: Path) -> None:
    def changed(hour: int) -> float:
        return _season(hour) * (growth if hour > _WEEK else 1)

    now = 2 * _WEEK
    assert _comes_true(tmp_path, _hourly(changed, now), "1h", f"{now}h", {"relative_error1w": error})


def test_a_wrong_forecast_is_detected(tmp_path: Path) -> None:
    assert not _comes_true(tmp_path, _hourly(_season, 9 * _DAY), "1h", "9d", {"rate1d_expected": 7.0})
