"""What a site can declare as an objective, and what follows from it."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from trust_ops.site_config.errors import RenderError
from trust_ops.site_config.objectives import FAST_BURN, HISTOGRAMS, REQUIRED_LIMITS, SLOW_BURN, Objective, problems
from trust_ops.site_config.site_file import read_site

_ROOT = Path(__file__).parents[3]


def objective(**given: Any) -> Objective:
    latency = given.get("indicator") == "latency"
    return Objective(
        **{
            "name": "checkout",
            "indicator": "availability",
            "target": 0.999,
            **({"threshold_seconds": 0.5} if latency else {}),
            **given,
        }
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "Checkout"}, "lower-case letters"),
        ({"name": "-a"}, "lower-case letters"),
        ({"name": "a" * 64}, "up to 63"),
        ({"indicator": "throughput"}, "'availability', 'latency' or 'validation'"),
        ({"target": 1}, "a share between 0 and 1"),
        ({"target": 99.9}, "a share between 0 and 1"),
        ({"target": 0}, "a share between 0 and 1"),
        ({"surprise": 1}, "Extra inputs"),
        ({"description": "one\ntwo"}, "single line"),
        ({"service": "a\tb"}, "single line"),
        ({"service": ""}, "it is empty"),
        ({"namespace": "shop"}, "namespace: name the service too"),
        ({"window": "36h"}, "use whole days"),
        ({"window": "336h"}, "use whole days"),
        ({"window": "1w2d"}, "use whole days"),
        ({"window": " 14d"}, "use whole days"),
        ({"window": "2d"}, "at least 3, such"),
        ({"window": "monthly"}, "use whole days"),
        ({"indicator": "validation", "protocol": "grpc"}, "protocol: a validation is neither a request nor a call"),
        ({"indicator": "validation", "http_route": "/a"}, "http_route: a validation is neither"),
        ({"http_route": "/a", "grpc_method": "a.B/C"}, "declare an objective for each"),
        ({"http_route": "/a", "protocol": "grpc"}, "http_route: the protocol is grpc"),
        ({"grpc_method": "a.B/C", "protocol": "http"}, "grpc_method: the protocol is http"),
        ({"threshold_seconds": 1}, "availability has no threshold"),
        ({"indicator": "latency", "threshold_seconds": None}, "a latency objective needs"),
        ({"target": 0.8}, "more than every event would have to fail within 1h"),
    ],
)
def test_an_inconsistent_objective_is_an_error_that_names_the_setting(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        objective(**given)


def test_a_threshold_between_boundaries_names_the_nearest_ones() -> None:
    with pytest.raises(ValidationError, match=r"0.3 is not a bucket boundary of .*; use 0.25 or 0.5 \(0.005, 0.01, "):
        objective(indicator="latency", threshold_seconds=0.3)
    with pytest.raises(ValidationError, match="use 10 "):
        objective(indicator="latency", threshold_seconds=60)


@pytest.mark.parametrize("threshold", HISTOGRAMS["http"].buckets)
def test_every_boundary_is_a_threshold(threshold: float) -> None:
    assert objective(indicator="latency", threshold_seconds=threshold).threshold_seconds == threshold


@pytest.mark.parametrize(
    ("given", "protocols"),
    [
        ({}, ("http", "grpc")),
        ({"protocol": "grpc"}, ("grpc",)),
        ({"http_route": "/items/{id}"}, ("http",)),
        ({"grpc_method": "a.B/C"}, ("grpc",)),
        ({"indicator": "validation"}, ()),
    ],
)
def test_a_route_or_method_decides_the_protocol(given: dict[str, Any], protocols: tuple[str, ...]) -> None:
    assert objective(**given).protocols == protocols


@pytest.mark.parametrize(
    ("window", "fast", "slow"),
    [
        # The burn rates 14.4, 6, 3 and 1.
        ("30d", ("0.0144", "0.006"), ("0.003", "0.001")),
        # Half of them for half of the window, and never less than the budget.
        ("15d", ("0.0072", "0.003"), ("0.0015", "0.001")),
        ("2w", ("0.00672", "0.0028"), ("0.0014", "0.001")),
        ("3d", ("0.00144", "0.001"), ("0.001", "0.001")),
    ],
)
def test_limits_follow_from_the_budget_and_its_window(
    window: str, fast: tuple[str, str], slow: tuple[str, str]
) -> None:
    declared = objective(window=window)
    assert declared.limits(FAST_BURN) == dict(zip(FAST_BURN, map(Decimal, fast), strict=True))
    assert declared.limits(SLOW_BURN) == dict(zip(SLOW_BURN, map(Decimal, slow), strict=True))


def test_a_fast_burn_that_cannot_be_detected_need_not_page() -> None:
    assert not objective(target=0.8, page=False).page


def test_names_are_unique_and_windows_within_the_retention() -> None:
    found = list(problems([objective(window="15d"), objective(window="16d")], timedelta(days=15)))
    assert [(position, name, remedy.partition(";")[0]) for position, name, remedy in found] == [
        (1, "name", "another objective has this name"),
        (1, "window", "Prometheus keeps data for 15 days only"),
    ]


def test_no_default_pages() -> None:
    assert [objective.name for objective in REQUIRED_LIMITS if objective.page] == []


def test_the_page_lists_every_setting() -> None:
    page = (_ROOT / "docs/objectives.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE) == list(Objective.model_fields)


@pytest.mark.parametrize(
    "file", ["examples/demo/site.yml", "testbed/drill/site.yml", "monitoring/prometheus/tests/slo/site.yml"]
)
def test_the_site_files_of_the_project_declare_objectives(file: str) -> None:
    declared = read_site((_ROOT / file).read_text(encoding="utf-8"), file).objectives
    assert declared
    assert declared != REQUIRED_LIMITS


def test_a_site_file_without_objectives_has_the_required_limits_and_an_empty_list_none() -> None:
    assert read_site("retention: 20d", "site.yml").objectives == REQUIRED_LIMITS
    assert read_site("objectives: []", "site.yml").objectives == ()


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        (
            "{name: a, indicator: availability, target: 0.99, window: 30d}",
            "site.yml:1: objectives[0].window: '30d' is not valid; Prometheus keeps data for 15 days only",
        ),
        (
            "{name: a, indicator: availability, target: 0.99}, {name: a, indicator: validation, target: 0.9}",
            "site.yml:1: objectives[1].name: 'a' is not valid; another objective has this name",
        ),
        (
            "{name: a, indicator: latency, target: 0.99, threshold_seconds: 3}",
            "site.yml:1: objectives[0]: threshold_seconds: 3 is not a bucket boundary",
        ),
        (
            "{name: A b, indicator: validation, target: 0.9}",
            "site.yml:1: objectives[0].name: 'A b' is not valid; use up to",
        ),
        (
            "{name: a, indicator: validation, target: 99.9}",
            "objectives[0].target: 99.9 is not valid; use a share between",
        ),
        ("{name: a, indicator: speed, target: 0.9}", "objectives[0].indicator: 'speed' is not valid; use availability"),
        ("{name: a, indicator: validation, target: 0.9, windows: 14d}", "unknown setting; did you mean window"),
    ],
)
def test_an_error_in_a_site_file_names_line_setting_value_and_remedy(objectives: str, message: str) -> None:
    with pytest.raises(RenderError) as raised:
        read_site(f"objectives: [{objectives}]", "site.yml")
    assert message in str(raised.value)
