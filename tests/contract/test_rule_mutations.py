"""The unit tests of the alerts: each alert has them, and they notice every change of the rules."""

from pathlib import Path

import pytest

from monitoring.checks.mutations import groups_in_any_order, readers, survivors
from monitoring.checks.proofs import read_scenes, unproven
from monitoring.checks.rules import Rule
from tests.contract.rule_files import ALERTS, RULES, UNIT_TESTS, identifier, promtool

_INSTANCES = "service:trust_otel_instances:count"
_A_DAY = "that a service is missed for a day is a choice; a test over two days costs more than it proves"
_UNNOTICED = {
    ("TrustServiceDown-critical", f"{_INSTANCES}[1d]  ->  {_INSTANCES}[{other}]"): _A_DAY for other in ("2d", "12h")
}
"""Changes that the unit tests need not notice: the rule's identifier and the change, with the reason."""


def _unit_tests(alert: Rule) -> Path:
    file = UNIT_TESTS / f"{alert.name}.yml"
    assert file.exists(), f"{alert.name} has no unit tests"
    return file


@pytest.mark.parametrize("alert", ALERTS, ids=identifier)
def test_every_alert_is_seen_before_at_and_after_its_fault(alert: Rule) -> None:
    assert unproven(alert, read_scenes(_unit_tests(alert))) is None


def test_there_are_no_unit_tests_of_what_is_no_alert() -> None:
    assert {file.stem for file in UNIT_TESTS.glob("*.yml")} <= {alert.name for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=identifier)
def test_the_unit_tests_do_not_depend_on_chance(alert: Rule) -> None:
    assert groups_in_any_order(_unit_tests(alert), RULES) == set()


@pytest.mark.parametrize("alert", ALERTS, ids=identifier)
def test_the_unit_tests_notice_every_change_of_an_alert(alert: Rule) -> None:
    _assert_noticed(alert, [_unit_tests(alert)])


@pytest.mark.parametrize(
    "record", [rule for rule in RULES if not rule.is_alert and readers(rule, RULES)], ids=identifier
)
def test_the_unit_tests_notice_every_change_of_what_alerts_read(record: Rule) -> None:
    _assert_noticed(record, sorted({_unit_tests(alert) for alert in readers(record, RULES)}))


def _assert_noticed(rule: Rule, test_files: list[Path]) -> None:
    unnoticed = {mutant.change for mutant in survivors(rule, RULES, test_files, promtool())}
    excused = {change for name, change in _UNNOTICED if name == identifier(rule)}
    assert unnoticed <= excused, "not noticed:\n" + "\n".join(sorted(unnoticed - excused))
    assert excused <= unnoticed, "excused without need:\n" + "\n".join(sorted(excused - unnoticed))
