"""The backfilled history in the screenshots matches the recording rules."""

from __future__ import annotations

from pathlib import Path

import yaml

from testbed.screenshots.backfill import counters, levels

_RULES = Path(__file__).parents[3] / "monitoring" / "prometheus" / "trust-service-recording.yml"


def test_every_backfilled_series_is_recorded_by_a_rule() -> None:
    groups = yaml.safe_load(_RULES.read_text())["groups"]
    recorded = {rule["record"] for group in groups for rule in group["rules"]}
    assert {name for name, _, _ in levels()} <= recorded


def test_backfilled_series_are_unique() -> None:
    series = [(name, *sorted(labels.items())) for name, labels, _ in [*levels(), *counters()]]
    assert len(set(series)) == len(series)


def test_breakdowns_add_up_to_the_total() -> None:
    found: dict[str, float] = {}
    for name, _, level in levels():
        found[name] = found.get(name, 0) + level
    documents = found["service:trust_document_processing:rate30m"]
    revenue = found["service:trust_revenue_amount:rate30m"]
    for name, total in (
        ("service_document:trust_document_processing:rate5m", documents),
        ("service_country:trust_document_processing:increase2m", documents * 240),
        ("service_country:trust_revenue_amount:rate5m", revenue),
        ("service_client:trust_revenue_amount:rate5m", revenue),
    ):
        assert abs(found[name] - total) < 1e-6, name
