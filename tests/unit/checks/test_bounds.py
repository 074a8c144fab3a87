"""Inferred bounds of query results."""

import math

import pytest

from tests.unit.checks.sample_vocabulary import VOCABULARY
from tools.checks.bounds import bounds_of, holds
from tools.checks.promql import parse
from tools.checks.vocabulary import Bounds

_ANY = Bounds()
_NON_NEGATIVE = Bounds(low=0)
_RATIO = Bounds(0, 1)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("healthy", _RATIO),
        ("min(healthy)", _RATIO),
        ("max_over_time(healthy[1m])", _RATIO),
        ("1 - healthy", _RATIO),
        ("100 * healthy", Bounds(0, 100)),
        ("healthy / 2", Bounds(0, 0.5)),
        ("sum(healthy)", _NON_NEGATIVE),
        ("rate(requests_total[5m])", _NON_NEGATIVE),
        ("count(healthy)", Bounds(1, math.inf, zero=False)),
        ("absent(healthy)", Bounds(1, 1, zero=False)),
        ("vector(0)", Bounds(0, 0)),
        ("healthy > bool 0.5", _RATIO),
        ("used_bytes > 0", Bounds(0, math.inf, zero=False)),
        ("0 < used_bytes", Bounds(0, math.inf, zero=False)),
        ("used_bytes < 5", Bounds(0, 5)),
        ("used_bytes - size_bytes", _ANY),
        ("clamp_max(used_bytes, 3)", Bounds(0, 3)),
        ("clamp_min(used_bytes, 3)", Bounds(3, math.inf, zero=False)),
        ("used_bytes or vector(-1)", Bounds(low=-1)),
        ("used_bytes unless info", _NON_NEGATIVE),
        ("ln(used_bytes)", _ANY),
        # A quantile is never above the last finite bucket.
        ("histogram_quantile(0.9, sum by (le) (rate(duration_seconds_bucket[5m])))", Bounds(0, 2)),
        ("histogram_quantile(0.9, used_bytes)", _ANY),
    ],
)
def test_bounds_of_a_result(source: str, expected: Bounds) -> None:
    assert bounds_of(parse(source), VOCABULARY) == expected


@pytest.mark.parametrize(
    "source",
    [
        'sum(rate(requests_total{code="500"}[5m])) / sum(rate(requests_total[5m]))',
        'sum(rate(requests_total{code="500"}[5m])) / (sum(rate(requests_total[5m])) > 0)',
        '(sum(rate(requests_total{code="500"}[5m])) or sum(rate(requests_total[5m])) * 0)'
        " / sum(rate(requests_total[5m]))",
        "sum(increase(duration_seconds_bucket{le='0.5'}[5m])) / sum(increase(duration_seconds_count[5m]))",
        "(sum(rate(duration_seconds_count[5m])) - sum(rate(duration_seconds_bucket{le='0.5'}[5m])))"
        " / sum(rate(duration_seconds_count[5m]))",
        "service:errors_per_request:ratio_rate5m",
        "sum_over_time((service:requests:rate5m and info)[1h:]) / sum_over_time(service:requests:rate5m[1h])",
        "count(healthy == 1) / count(healthy)",
        "avg_over_time(service:errors_per_request:ratio_rate5m[1h])",
    ],
)
def test_a_ratio_of_a_part_to_the_whole_is_at_most_one(source: str) -> None:
    assert bounds_of(parse(source), VOCABULARY) == _RATIO


@pytest.mark.parametrize(
    "source",
    [
        "sum(rate(requests_total[5m])) / sum(rate(requests_total{code='500'}[5m]))",
        "sum(rate(requests_total{code='500'}[5m])) / sum(rate(requests_total[1h]))",
        "sum by (code) (rate(requests_total[5m])) / sum(rate(requests_total[5m]))",
        "sum(rate(requests_total{code='500'}[5m])) / sum(rate(requests_total{method='GET'}[5m]))",
        "sum(rate(duration_seconds_bucket[5m])) / sum(rate(duration_seconds_count[5m]))",
        "max(rate(requests_total[5m])) / sum(rate(requests_total[5m] offset 1d))",
    ],
)
def test_other_ratios_can_exceed_one(source: str) -> None:
    assert bounds_of(parse(source), VOCABULARY).high > 1


@pytest.mark.parametrize(
    ("operator", "left", "right", "expected"),
    [
        (">", _RATIO, Bounds(1, 1), False),
        (">", _RATIO, Bounds(0.5, 0.5), None),
        (">", _RATIO, Bounds(-1, -1), True),
        (">", Bounds(0, 5, zero=False), Bounds(0, 0), True),
        (">=", _RATIO, Bounds(0, 0), True),
        (">=", _RATIO, Bounds(1, 1), None),
        ("<", _RATIO, Bounds(0, 0), False),
        ("<=", _RATIO, Bounds(1, 1), True),
        ("==", _RATIO, Bounds(2, 2), False),
        ("==", Bounds(0, 5, zero=False), Bounds(0, 0), False),
        ("==", _RATIO, Bounds(1, 1), None),
        ("!=", _RATIO, Bounds(2, 2), True),
        ("!=", Bounds(1, 1), Bounds(1, 1), False),
    ],
)
def test_a_comparison_is_always_never_or_sometimes_true(
    operator: str, left: Bounds, right: Bounds, expected: bool | None
) -> None:
    assert holds(operator, left, right) is expected
