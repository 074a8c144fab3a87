"""How far queries look back."""

import pytest

from tools.checks.lookback import lookback
from tools.checks.promql import PromqlError, parse

DAY = 86400
WEEK = 7 * DAY


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("up", 0),
        ("up offset 1d", DAY),
        ("up offset -1d", -DAY),
        ("rate(x[1d])", DAY),
        ("rate(x[1d] offset 6d)", WEEK),
        ("max_over_time(rate(x[1d])[6d:1h])", WEEK),
        ("sum_over_time((x and x offset 1w)[1w:1h])", 2 * WEEK),
        ("max_over_time(rate(x[1d])[1d:1h] offset 5d)", WEEK),
        ("rate(x[1d] @ end())", DAY),
        ("sum(x) / sum(x offset 1w)", WEEK),
        ("time() - 5", 0),
    ],
)
def test_ranges_and_offsets_add_up(query: str, seconds: float) -> None:
    assert lookback(parse(query)) == seconds


@pytest.mark.parametrize("query", ["up @ 1700000000", "up @ start()", "rate(x[5m])[1h:] @ 1700000000"])
def test_a_fixed_time_is_an_error(query: str) -> None:
    with pytest.raises(PromqlError, match="may be longer ago"):
        lookback(parse(query))
