"""Which values a result can have."""

import math

import pytest

from tests.unit.checks.known import VOCABULARY
from tools.checks.bounds import bounds_of, holds
from tools.checks.promql import parse
from tools.checks.vocabulary import Bounds

_ANY = Bounds()
_AMOUNT = Bounds(low=0)
_SHARE = Bounds(0, 1)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("healthy", _SHARE),
        ("min(healthy)", _SHARE),
        ("max_over_time(healthy[1m])", _SHARE),
        ("1 - healthy", _SHARE),
        ("100 * healthy", Bounds(0, 100)),
        ("healthy / 2", Bounds(0, 0.5)),
        ("sum(healthy)", _AMOUNT),
        ("rate(requests_total[5m])", _AMOUNT),
        ("count(healthy)", Bounds(1, math.inf, zero=False)),
        ("absent(healthy)", Bounds(1, 1, zero=False)),
        ("vector(0)", Bounds(0, 0)),
        ("healthy > bool 0.5", _SHARE),
        ("used_bytes > 0", Bounds(0, math.inf, zero=False)),
        ("0 < used_bytes", Bounds(0, math.inf, zero=False)),
        ("used_bytes < 5", Bounds(0, 5)),
        ("used_bytes - size_bytes", _ANY),
        ("clamp_max(used_bytes, 3)", Bounds(0, 3)),
        ("clamp_min(used_bytes, 3)", Bounds(3, math.inf, zero=False)),
        ("used_bytes or vector(-1)", Bounds(low=-1)),
        ("used_bytes unless info", _AMOUNT),
        ("ln(used_bytes)", _ANY),
        # Longer than the last bucket is never said.
        ("histogram_quantile(0.9, sum by (le) (rate(duration_seconds_bucket[5m])))", Bounds(0, 2)),
        ("histogram_quantile(0.9, used_bytes)", _ANY),
    ],
)
def test_bounds(source: str, expected: Bounds) -> None:
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
def test_a_share_is_at_most_one(source: str) -> None:
    assert bounds_of(parse(source), VOCABULARY) == _SHARE


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
def test_what_need_not_be_a_share_is_none(source: str) -> None:
    assert bounds_of(parse(source), VOCABULARY).high > 1


@pytest.mark.parametrize(
    ("operator", "left", "right", "expected"),
    [
        (">", _SHARE, Bounds(1, 1), False),
        (">", _SHARE, Bounds(0.5, 0.5), None),
        (">", _SHARE, Bounds(-1, -1), True),
        (">", Bounds(0, 5, zero=False), Bounds(0, 0), True),
        (">=", _SHARE, Bounds(0, 0), True),
        (">=", _SHARE, Bounds(1, 1), None),
        ("<", _SHARE, Bounds(0, 0), False),
        ("<=", _SHARE, Bounds(1, 1), True),
        ("==", _SHARE, Bounds(2, 2), False),
        ("==", Bounds(0, 5, zero=False), Bounds(0, 0), False),
        ("==", _SHARE, Bounds(1, 1), None),
        ("!=", _SHARE, Bounds(2, 2), True),
        ("!=", Bounds(1, 1), Bounds(1, 1), False),
    ],
)
def test_whether_a_comparison_can_hold(operator: str, left: Bounds, right: Bounds, expected: bool | None) -> None:
    assert holds(operator, left, right) is expected
