"""The checks of all dashboards, their sources, and the links of alerts to them."""

import functools
import importlib
import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from tests.contract.rule_files import ALERTS, RULES, identifier, vocabulary
from tests.contract.test_provisioning import AUDIENCES
from tools.checks.alert_panels import ALERT_PANEL_CHECKS, check_alert_panels
from tools.checks.dashboards import CHECKS, REQUIRED_PANELS, check_alert_links, check_dashboard, panel_numbers
from tools.checks.grafana import Dashboard, read_dashboard
from tools.checks.panels import DashboardContext
from tools.checks.promql import Selector, walk
from tools.checks.queries import Finding
from tools.checks.rules import Rule
from tools.checks.variables import with_filters
from trust_ops.grafana.access_file import read_access
from trust_ops.site_config.dashboards import VALUES, dumped

MONITORING = Path(__file__).parents[2] / "monitoring"
FOLDER = MONITORING / "grafana"
RUNBOOKS = frozenset(page.stem for page in (MONITORING / "runbooks").glob("Trust*.md"))


@functools.cache
def dashboards() -> dict[str, Dashboard]:
    return {file.stem: read_dashboard(file) for file in sorted(FOLDER.glob("*.json"))}


@functools.cache
def units() -> frozenset[str]:
    """The ids of Grafana's units, from its library."""
    try:
        models = importlib.import_module("grafana_foundation_sdk.models.units")
    except ImportError:
        # The library needs Python 3.11; without it, units are not checked.
        return frozenset()
    return frozenset(value for each in models.__annotations__.values() for value in get_args(each))


@functools.cache
def sources() -> frozenset[str]:
    """Names of the provisioned data sources."""
    files = [MONITORING / "provisioning" / name for name in ("datasources/trust-service.yml", "optional/traces.yml")]
    return frozenset(each["name"] for file in files for each in yaml.safe_load(file.read_text())["datasources"])


@functools.cache
def findings(uid: str) -> list[Finding]:
    numbers = panel_numbers(dashboards().values())
    context = DashboardContext(vocabulary(), ALERTS, numbers, RUNBOOKS, units(), sources())
    return check_dashboard(dashboards()[uid], context)


def test_there_are_exactly_five_dashboards() -> None:
    assert sorted(dashboards()) == sorted(REQUIRED_PANELS)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("uid", REQUIRED_PANELS)
def test_the_checks_find_nothing(uid: str, check: str) -> None:
    assert uid in dashboards(), f"monitoring/grafana/{uid}.json is missing; `make generate` writes it"
    assert [finding.message for finding in findings(uid) if finding.check == check] == []


def test_each_alert_links_to_a_panel() -> None:
    assert check_alert_links(ALERTS, panel_numbers(dashboards().values())) == []


@functools.cache
def shown_wrongly() -> list[Finding]:
    access = read_access(MONITORING / "provisioning" / "access.yml").resources
    teams = {
        f"trust-service-{audience}": frozenset(
            team for each in access if each.uid in (folder, f"trust-service-{audience}") for team in each.teams
        )
        for folder, audience in AUDIENCES.items()
    }
    return check_alert_panels(ALERTS, dashboards(), vocabulary(), teams)


@pytest.mark.parametrize("check", ALERT_PANEL_CHECKS)
@pytest.mark.parametrize("alert", sorted({alert.name for alert in ALERTS}))
def test_the_panel_of_an_alert_shows_it_to_its_team(alert: str, check: str) -> None:
    found = [each.message for each in shown_wrongly() if each.check == check]
    assert [message for message in found if message.startswith(f"{alert}: ")] == []


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if any(silence.check == "unused" for silence in rule.silences)], ids=identifier
)
def test_series_recorded_for_a_dashboard_are_read_by_it(rule: Rule) -> None:
    (reason,) = (silence.reason for silence in rule.silences if silence.check == "unused")
    named = re.findall(r"operational|security|business|pki|monitoring", reason)
    assert named, f"{reason!r} names no dashboard"
    assert [each for each in named if rule.name not in series_read_by(f"trust-service-{each}")] == []


@functools.cache
def series_read_by(uid: str) -> frozenset[str]:
    assert uid in dashboards(), f"monitoring/grafana/{uid}.json is missing; `make generate` writes it"
    queries = [with_filters(target.source) for panel in dashboards()[uid].panels for target in panel.targets]
    return frozenset(part.name for query in queries for part in walk(query) if isinstance(part, Selector))


def test_the_files_are_up_to_date() -> None:
    pytest.importorskip("grafana_foundation_sdk", reason="needs Python 3.11")
    from monitoring.dashboards.files import places, render, render_optional

    files = (*FOLDER.glob("*.json"), *(MONITORING / "provisioning" / "optional").glob("*.json"))
    written = {file.name: file.read_text(encoding="utf-8") for file in files}
    made = render() | render_optional()
    # Names only, because the difference of two dashboards is too long.
    assert sorted(written) == sorted(made)
    assert [name for name, text in made.items() if written[name] != text] == [], "run `make generate`"
    assert dumped(places()) == VALUES.read_text(encoding="utf-8"), "run `make generate`"
