"""Controls that a site requires: the rules, the alert and the panel."""

from pathlib import Path

import pytest

from tests.contract.rule_files import promtool
from tools.checks.alert_panels import check_alert_panels
from tools.checks.grafana import dashboard_in
from tools.checks.promtool import unit_test_failures
from tools.checks.rule_dependencies import groups_in_any_order, with_only
from tools.checks.rules import Rule, read_rules, with_rules
from tools.checks.vocabulary import declared
from trust_ops.site_config import Site, read_site
from trust_ops.site_config.dashboards import dashboards
from trust_ops.site_config.rules import rule_files

_UNIT_TESTS = tuple(Path(__file__).with_name(f"required_controls{name}.yml") for name in ("", "_week"))
_SITE = read_site(
    """
compliance:
  required_controls:
    - {framework: eidas, control: signature_policy, within: 1h, service: signer}
    - {framework: gdpr, control: retention, within: 3h, environment: production}
""",
    "site.yml",
)


def rules_of(site: Site, folder: Path) -> tuple[Rule, ...]:
    files = rule_files(site)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return read_rules([folder / name for name in files])


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rule, ...]:
    return rules_of(_SITE, tmp_path_factory.mktemp("rules"))


@pytest.mark.parametrize("file", _UNIT_TESTS, ids=lambda file: file.stem)
def test_the_unit_tests_pass(file: Path, rules: tuple[Rule, ...]) -> None:
    assert groups_in_any_order(file, rules) == set()
    with with_only(rules, file) as copy:
        assert unit_test_failures(promtool(), copy) == ""


def test_the_panel_of_the_alert_shows_the_required_controls(rules: tuple[Rule, ...]) -> None:
    alert = next(rule for rule in rules if rule.name == "TrustComplianceFailure")
    (text,) = (text for name, text in dashboards(_SITE).items() if name.endswith("-security.json"))
    shown = {"trust-service-security": dashboard_in(text, "security")}
    teams = {"trust-service-security": frozenset({"compliance"})}
    found = check_alert_panels([alert], shown, with_rules(declared(), rules), teams)
    assert [finding.message for finding in found] == []
