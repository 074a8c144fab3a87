"""The map of regulations names metrics, panels and alerts that exist, and evidence for each clause."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from monitoring.alerts import ALERTS
from monitoring.regulations import PAGE, REQUIREMENTS, Requirement, page
from trust_otel.semconv.metrics import ALL

_ROOT = Path(__file__).parents[2]
_UNITS = ("_total", "_seconds", "_ratio")


def _panels(items: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    found = {each["id"]: each for each in items if each["type"] != "row"}
    for each in items:
        found |= _panels(each.get("panels", []))
    return found


def _queries(dashboard: str, number: int) -> str:
    file = _ROOT / f"monitoring/grafana/trust-service-{dashboard}.json"
    panel = _panels(json.loads(file.read_text(encoding="utf-8"))["panels"])[number]
    return " ".join(target.get("expr", "") for target in panel.get("targets", []))


def _stem(name: str) -> str:
    """The name as it is in recorded series too, which have no unit."""
    for suffix in _UNITS:
        name = name.removesuffix(suffix)
    return name


def test_page_is_generated_from_the_declaration() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run make generate"


def test_every_source_has_clauses_that_are_together() -> None:
    sources = [each.source for each in REQUIREMENTS]
    assert len(set(sources)) == 1 + sum(one != other for one, other in itertools.pairwise(sources))


@pytest.mark.parametrize("row", REQUIREMENTS, ids=lambda row: f"{row.source[:20]} {row.clause[:30]}")
class TestRequirement:
    def test_metric_is_in_the_registry(self, row: Requirement) -> None:
        assert ALL[row.metric.name] is row.metric

    def test_panels_query_the_metric(self, row: Requirement) -> None:
        for dashboard, number in row.panels:
            assert _stem(row.metric.prometheus_name) in _queries(dashboard, number), (dashboard, number)

    def test_alerts_exist_and_have_a_runbook(self, row: Requirement) -> None:
        assert set(row.alerts) <= {alert.name for alert in ALERTS}
        assert all((_ROOT / f"monitoring/runbooks/{name}.md").is_file() for name in row.alerts)

    def test_clause_has_evidence(self, row: Requirement) -> None:
        assert row.evidence
        assert row.clause
