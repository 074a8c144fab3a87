"""The rules and dashboards of a site that changes everything pass the checks of the published ones."""

import json
from pathlib import Path

import pytest

from tests.contract.rule_files import FILES, UNIT_TESTS
from tests.contract.test_dashboards import FOLDER, RUNBOOKS, sources, units
from tools.checks.dashboards import check_dashboard, panel_numbers
from tools.checks.grafana import Dashboard, read_dashboard
from tools.checks.panels import DashboardContext
from tools.checks.rulebook import check_rules
from tools.checks.rules import Rule, read_rules, with_rules
from tools.checks.vocabulary import declared
from trust_ops.site_config import Site
from trust_ops.site_config.dashboards import OPTIONAL, published_places
from trust_ops.site_config.dashboards import dashboards as site_dashboards
from trust_ops.site_config.rule_templates import RuleTemplate, rule_groups, threshold_values
from trust_ops.site_config.rules import groups_of_site, problems, rule_files

_WITH_THRESHOLD = [rule for group in rule_groups() for rule in group.rules if rule.threshold is not None]


def _another(rule: RuleTemplate) -> float:
    assert rule.threshold is not None
    given = rule.threshold.given
    return given * 0.8 if rule.threshold.unit in ("ratio", "seconds") else given + 2


_OVERRIDES = {
    rule.name: {other.severity: _another(other) for other in _WITH_THRESHOLD if other.name == rule.name}
    for rule in _WITH_THRESHOLD
}
_SITE = Site.model_validate_json(
    json.dumps(
        {
            "addresses": {"runbooks": "https://books.trust.test"},
            "thresholds": _OVERRIDES,
            "critical": {"grpc_methods": ["Sign", "Verify"], "http_routes": ["/v1/documents/{id}"]},
            "compliance": {
                "required_controls": [{"framework": "eidas", "control": "signature_policy", "within": "14d"}]
            },
            "retention": "21d",
        }
    )
)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rule, ...]:
    """The rules of the site."""
    folder = tmp_path_factory.mktemp("rules")
    for name, text in rule_files(_SITE).items():
        (folder / name).write_text(text, encoding="utf-8")
    recording, slo, alerts = (file.name for file in FILES)
    # Objectives that page, which a site without objectives of its own does not have.
    return read_rules([folder / recording, UNIT_TESTS / "slo" / slo, folder / alerts])


@pytest.fixture(scope="module")
def dashboards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dashboard]:
    """The dashboards of the site."""
    folder = tmp_path_factory.mktemp("dashboards")
    for name, text in site_dashboards(_SITE).items():
        (folder / Path(name).name).write_text(text, encoding="utf-8")
    return {file.stem: read_dashboard(file) for file in sorted(folder.iterdir())}


def test_every_threshold_differs_and_can_be_used() -> None:
    before, after = threshold_values(rule_groups()), threshold_values(groups_of_site(_SITE))
    assert before.keys() == after.keys()
    assert [key for key in before if before[key] == after[key]] == []
    assert list(problems(_SITE)) == []


def test_the_rules_pass_all_checks(rules: tuple[Rule, ...]) -> None:
    found = check_rules(rules, with_rules(declared(), rules), readers=frozenset())
    assert {rule.name: findings for rule, findings in found.items() if findings} == {}


@pytest.mark.parametrize("uid", sorted(published_places().keys() - OPTIONAL))
def test_the_dashboards_pass_all_checks(uid: str, rules: tuple[Rule, ...], dashboards: dict[str, Dashboard]) -> None:
    alerts = tuple(rule for rule in rules if rule.is_alert)
    numbers = panel_numbers(dashboards.values())
    context = DashboardContext(with_rules(declared(), rules), alerts, numbers, RUNBOOKS, units(), sources())
    assert [finding.message for finding in check_dashboard(dashboards[uid], context)] == []


def test_the_published_dashboards_do_not_pass_them(rules: tuple[Rule, ...]) -> None:
    alerts = tuple(rule for rule in rules if rule.is_alert)
    published = {file.stem: read_dashboard(file) for file in sorted(FOLDER.glob("*.json"))}
    numbers = panel_numbers(published.values())
    context = DashboardContext(with_rules(declared(), rules), alerts, numbers, RUNBOOKS, units(), sources())
    found = [finding for each in published.values() for finding in check_dashboard(each, context)]
    assert {finding.check for finding in found} == {"threshold-alert"}
