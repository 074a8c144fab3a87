"""Rules and panels never look further back than Prometheus keeps samples."""

import functools
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.contract.rule_files import FILES, identifier
from tools.checks.grafana import Dashboard, dashboard_in
from tools.checks.lookback import lookback
from tools.checks.promql import parse, seconds
from tools.checks.rules import Rule, read_rules
from tools.checks.variables import as_sent
from trust_ops.site_config import Site
from trust_ops.site_config.dashboards import OPTIONAL, published_places
from trust_ops.site_config.dashboards import dashboards as site_dashboards

REQUIRED = timedelta(days=15)
"""What the requirements say, and the shortest that `trust-otel render` accepts."""

_STEP_SECONDS = 15


@functools.cache
def dashboards(days: int) -> dict[str, Dashboard]:
    """The dashboards of a site with this retention."""
    files = site_dashboards(Site(retention=f"{days}d"))
    return {Path(name).stem: dashboard_in(text, name) for name, text in files.items()}


def queries(dashboard: Dashboard) -> Iterator[tuple[str, float]]:
    """Each query by panel, and how many seconds it looks back in the default time range."""
    found = re.fullmatch(r"now-(\w+)", dashboard.json["time"]["from"])
    assert found is not None
    shown = seconds(found[1])

    def reach(source: str, ranged: bool) -> float:
        sent = as_sent(source, seconds=shown, step_seconds=_STEP_SECONDS)
        return lookback(parse(sent)) + (shown if ranged else 0)

    for panel in dashboard.panels:
        for target in panel.targets:
            yield f"{panel} {target.ref}", reach(target.source, target.ranged)
    for annotation in dashboard.annotations:
        if "expr" in annotation:
            yield annotation["name"], reach(annotation["expr"], ranged=True)


@pytest.mark.parametrize("rule", read_rules(FILES), ids=identifier)
def test_a_rule_looks_back_at_most_as_far_as_the_required_retention(rule: Rule) -> None:
    assert lookback(rule.expression()) <= REQUIRED.total_seconds()


@pytest.mark.parametrize("days", [15, 20, 21, 30])
@pytest.mark.parametrize("uid", sorted(published_places().keys() - OPTIONAL))
def test_a_panel_looks_back_at_most_as_far_as_the_retention(uid: str, days: int) -> None:
    found = dict(queries(dashboards(days)[uid]))
    assert found
    assert {panel: reach for panel, reach in found.items() if reach > days * 86400} == {}


@pytest.mark.parametrize(("days", "shown"), [(15, 14), (20, 14), (21, 21), (28, 28), (90, 28)])
def test_the_error_budget_covers_the_whole_weeks_that_prometheus_keeps(days: int, shown: int) -> None:
    panels = dashboards(days)["trust-service-business"].panels
    (panel,) = [each for each in panels if each.title == "SLA compliance"]
    assert f"{shown}-day error budget left" in panel.description
    windows = {window for target in panel.targets for window in re.findall(r"\[(\d+)d\]", target.source)}
    assert windows == {str(shown)}
