"""The past that the pictures show is one that the rules could have recorded."""

from __future__ import annotations

from pathlib import Path

import yaml

from testbed.screenshots.backfill import counters, levels

_RULES = Path(__file__).parents[3] / "monitoring" / "prometheus" / "trust-service-recording.yml"


def test_every_series_of_the_past_is_recorded_by_a_rule() -> None:
    groups = yaml.safe_load(_RULES.read_text())["groups"]
    recorded = {rule["record"] for group in groups for rule in group["rules"]}
    assert {name for name, _, _ in levels()} <= recorded


def test_no_two_series_of_the_past_are_the_same() -> None:
    series = [(name, *sorted(labels.items())) for name, labels, _ in [*levels(), *counters()]]
    assert len(set(series)) == len(series)


def test_parts_add_up_to_the_whole() -> None:
    found: dict[str, float] = {}
    for name, _, level in levels():
        found[name] = found.get(name, 0) + level
    documents = found["service:trust_document_processing:rate30m"]
    revenue = found["service:trust_revenue_amount:rate30m"]
    for name, whole in (
        ("service_document:trust_document_processing:rate5m", documents),
        ("service_country:trust_document_processing:rate5m", documents),
        ("service_country:trust_revenue_amount:rate5m", revenue),
        ("service_client:trust_revenue_amount:rate5m", revenue),
    ):
        assert abs(found[name] - whole) < 1e-6, name
