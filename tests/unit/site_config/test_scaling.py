"""A configuration with shortened intervals."""

from collections.abc import Callable
from copy import deepcopy

from trust_ops.durations import parse_duration
from trust_ops.site_config import Rendered, scaled


def test_every_wait_and_interval_of_the_routes_is_divided() -> None:
    configuration = {
        "route": {
            "group_wait": "0s",
            "group_interval": "30s",
            "receiver": "5m",
            "routes": [{"repeat_interval": "1h", "routes": [{"group_wait": "15m"}]}],
        },
        "receivers": [{"name": "a", "slack_configs": [{"timeout": "10s"}]}],
    }
    before = deepcopy(configuration)
    assert scaled(configuration, 60) == {
        "route": {
            "group_wait": "0ms",
            "group_interval": "500ms",
            "receiver": "5m",
            "routes": [{"repeat_interval": "60000ms", "routes": [{"group_wait": "15000ms"}]}],
        },
        "receivers": [{"name": "a", "slack_configs": [{"timeout": "10s"}]}],
    }
    assert configuration == before


def test_an_interval_is_never_zero() -> None:
    assert scaled({"route": {"group_interval": "1s"}}, 1e9)["route"]["group_interval"] == "1ms"


def test_the_whole_configuration_keeps_its_proportions(rendered: Callable[..., Rendered]) -> None:
    configuration = rendered().configuration
    fast = scaled(configuration, 50)
    routes = zip(configuration["route"]["routes"], fast["route"]["routes"], strict=True)
    for slow_route, fast_route in routes:
        for name in ("group_interval", "repeat_interval"):
            if name in slow_route:
                assert parse_duration(fast_route[name]) * 50 == parse_duration(slow_route[name])
