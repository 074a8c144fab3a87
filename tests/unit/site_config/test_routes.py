"""What a site changes in Alertmanager's routes and time intervals."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from trust_ops.site_config import Rendered, Site
from trust_ops.site_config.routes import matcher
from trust_ops.site_config.site import BusinessHours

Render = Callable[..., Rendered]


def conditions(rendered: Rendered, receiver: str) -> list[list[str]]:
    """The matchers of the routes at the top that lead to a receiver."""
    return [route["matchers"] for route in rendered.configuration["route"]["routes"] if route["receiver"] == receiver]


def test_each_environment_is_in_the_route_of_its_treatment(rendered: Render) -> None:
    made = rendered(site=Site(environments={"a": "show", "b": "notify", "c": "show", "d": "page"}))
    assert conditions(made, "nobody") == [['deployment_environment_name =~ "a|c"']]
    assert conditions(made, "default")[0] == ['deployment_environment_name =~ "b"']


def test_an_environment_that_pages_needs_no_route(rendered: Render) -> None:
    made = rendered(site=Site(environments={"a": "page"}))
    assert conditions(made, "nobody") == []
    # The last route, for everything else.
    assert conditions(made, "default") == [['severity != "critical"']]


def test_other_environments_are_all_that_are_not_listed(rendered: Render) -> None:
    made = rendered(site=Site(environments={"a": "page", "b": "show"}, other_environments="show"))
    assert conditions(made, "nobody") == [
        ['deployment_environment_name =~ "b"'],
        ['deployment_environment_name != ""', 'deployment_environment_name !~ "a|b"'],
        ['deployment_environment_name = ""', 'service_name != ""'],
    ]


def test_without_a_list_every_environment_is_another(rendered: Render) -> None:
    made = rendered(site=Site(environments={}, other_environments="notify"))
    assert conditions(made, "nobody") == []
    assert len(conditions(made, "default")) == 3


@pytest.mark.parametrize(
    "name", ["a.b", "a|b", "a(b", "a[b", 'a"b', "a\\b", "a{b}", "$a^", "a,b", "a b", "é", "{{ a }}", "'a'", "a*+?"]
)
def test_names_are_quoted_for_regular_expressions_and_matchers(name: str) -> None:
    found = re.fullmatch(r'label =~ "(.*)"', matcher("label", "=~", [name, "other"]))
    assert found is not None
    unquoted = re.sub(r'\\(["\\])', r"\1", found[1])
    assert re.fullmatch(unquoted, name)
    assert re.fullmatch(unquoted, "other")
    assert not re.fullmatch(unquoted, name + "x")


def intervals(rendered: Rendered) -> Any:
    (named,) = rendered.configuration["time_intervals"]
    return named["time_intervals"]


def hours(**changes: Any) -> Site:
    return Site(business_hours=BusinessHours(muted_outside=("TrustRevenueDrop",), **changes))


def test_nothing_is_muted_by_default(rendered: Render) -> None:
    assert "time_intervals" not in rendered().configuration
    assert "mute_time_intervals" not in repr(rendered().configuration)


def test_the_time_outside_business_hours_is_muted(rendered: Render) -> None:
    weekend, weekdays = intervals(rendered(site=hours(timezone="Europe/Berlin", begin="09:00")))
    assert weekend == {"weekdays": ["saturday", "sunday"], "location": "Europe/Berlin"}
    assert weekdays == {
        "weekdays": ["monday", "tuesday", "wednesday", "thursday", "friday"],
        "times": [
            {"start_time": "00:00", "end_time": "09:00"},
            {"start_time": "18:00", "end_time": "24:00"},
        ],
        "location": "Europe/Berlin",
    }


def test_days_without_an_end_have_no_empty_time(rendered: Render) -> None:
    _, weekdays = intervals(rendered(site=hours(begin="06:00", end="24:00")))
    assert weekdays["times"] == [{"start_time": "00:00", "end_time": "06:00"}]
    (weekend,) = intervals(rendered(site=hours(begin="00:00", end="24:00")))
    assert weekend["weekdays"] == ["saturday", "sunday"]
    every = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    (daily,) = intervals(rendered(site=hours(days=every)))
    assert daily["weekdays"] == list(every)
