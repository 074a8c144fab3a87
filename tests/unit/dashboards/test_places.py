"""What depends on a site is found in the JSON of dashboards, and filled with the site's values."""

from datetime import timedelta

import pytest

from monitoring.alerts.site_number import SiteNumber
from monitoring.dashboards.places import places_in, plain, with_values
from trust_ops.site_config.dashboards import DashboardValues, Place

LIMIT = SiteNumber(2.0, "threshold TrustSlow/critical")
TREE = {
    "title": "Latency",
    "text": f"above {LIMIT - 1:g} s for {LIMIT:.0%}",
    "steps": [{"value": LIMIT / 4}, {"value": (LIMIT + 1) * 2}, {"value": 7.0}],
    "link": "<<runbooks>>/page",
    "query": "x[<<days 28d :d>>d]",
}


def values(threshold: float, days: int = 15) -> DashboardValues:
    thresholds = {("TrustSlow", "critical"): threshold}
    return DashboardValues("live", "https://books.trust.test", timedelta(days=days), thresholds)


def test_a_number_is_its_threshold() -> None:
    assert (float(LIMIT), float(LIMIT / 4), float(LIMIT - 1), float((LIMIT + 1) * 2)) == (2, 0.5, 1, 6)


@pytest.mark.parametrize(("number", "site"), [(1 - LIMIT, -2.0), (1 + LIMIT, 4.0), (1.5 * LIMIT, 4.5)])
def test_the_number_may_be_on_the_right(number: SiteNumber, site: float) -> None:
    assert with_values(plain(number), values(3.0)) == site
    assert with_values(plain(number), values(2.0)) == float(number)


def test_a_division_by_the_threshold_is_an_error() -> None:
    with pytest.raises(TypeError, match="cannot be divided by the threshold of a site"):
        1 / LIMIT


def test_texts_and_numbers_get_the_values_of_the_site() -> None:
    assert with_values(plain(TREE), values(3.0, days=27)) == {
        "title": "Latency",
        "text": "above 2 s for 300%",
        "steps": [{"value": 0.75}, {"value": 8.0}, {"value": 7.0}],
        "link": "https://books.trust.test/page",
        "query": "x[21d]",
    }


def test_a_longer_retention_does_not_lengthen_a_window() -> None:
    assert with_values("x[<<days 28d :d>>d]", values(2.0, days=365)) == "x[28d]"


def test_the_places_are_those_that_depend_on_the_site() -> None:
    found = list(places_in(plain(TREE)))
    assert [place.path for place in found] == [
        ("link",),
        ("query",),
        ("steps", 0, "value"),
        ("steps", 1, "value"),
        ("text",),
    ]
    assert Place(("steps", 1, "value"), "<<threshold TrustSlow/critical +1 *2>>") in found


def test_a_key_that_depends_on_the_site_is_an_error() -> None:
    with pytest.raises(ValueError, match="no key of the JSON can"):
        plain({f"above {LIMIT:g}": 1})
