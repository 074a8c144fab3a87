"""Every alert has unit tests, and they detect every change of the rules."""

import pytest

from tests.contract.rule_files import ALERTS, RULES, UNIT_TESTS, identifier
from tests.contract.verdicts import TESTED, unit_tests, unnoticed_changes
from tools.checks.alert_test_coverage import missing_coverage, read_test_groups
from tools.checks.rule_dependencies import groups_in_any_order
from tools.checks.rules import Rule

_INSTANCES = "service_delivery:trust_otel_instances:count"
_A_DAY = "that a service is remembered for a day is a choice; a test over two days takes too long"
_DAYS = "the window of one side alone is only detected by a test of several days, which takes too long"
_LAST = "the alert compares with the last value within a day, which the window does not change"
_SAME_SCRAPE = "a scraped heartbeat comes with a sample of `up` at the same time"
_SHORTER_THAN_FOR = "with half of the window a new target is mistaken for less than a minute, and `for` is a minute"
_FUTURE = "promtool has no samples of the future; tests/integration/test_instance_clock.py has"
_RATIO = "service:slo_errors_per_event:ratio_rate"


def _window(series: str, window: str, *others: str) -> list[str]:
    return [f"{series}[{window}]  ->  {series}[{other}]" for other in others]


_ERRORS, _EVENTS = "service:slo_errors:rate5m", "service:slo_events:rate5m"
_UNNOTICED = {
    (rule, change): reason
    for rule, reason, changes in (
        (
            "namespace:kube_pods_unmonitored:count",
            _A_DAY,
            _window("namespace:trust_otel_instances:count", "1d", "2d", "12h"),
        ),
        ("TrustServiceDown-critical", _A_DAY, _window(_INSTANCES, "1d", "2d", "12h")),
        ("TrustMonitoringTargetDown-critical", _A_DAY, _window('up{job="otel-collector"}', "1d", "2d", "12h")),
        (
            _INSTANCES,
            _LAST,
            [
                *_window("trust_otel_instance_up", "45s", "1m30s", "22s500ms"),
                *_window("up", "45s", "1m30s", "22s500ms"),
            ],
        ),
        ("TrustServiceInstanceDown-warning", _SAME_SCRAPE, _window("up", "15m", "30m")),
        (
            "service_instance:trust_otel_instance_up:timestamp",
            _FUTURE,
            [
                "timestamp(trust_otel_instance_up offset -5m) or timestamp(trust_otel_instance_up)"
                "  ->  timestamp(trust_otel_instance_up)",
                "trust_otel_instance_up offset -5m  ->  trust_otel_instance_up offset -10m",
            ],
        ),
        (
            "TrustDatabaseConnectionsFailed-critical",
            _SHORTER_THAN_FOR,
            _window("db_client_connection_create_time_seconds_count", "2m", "1m"),
        ),
        (f"{_RATIO}1h", _DAYS, _window(_ERRORS, "1h", "2h")),
        (f"{_RATIO}2h", _DAYS, _window(_ERRORS, "2h", "1h")),
        (f"{_RATIO}1d", _DAYS, [*_window(_ERRORS, "1d", "2d"), *_window(_EVENTS, "1d", "2d")]),
        (f"{_RATIO}3d", _DAYS, [*_window(_ERRORS, "3d", "1d12h", "6d"), *_window(_EVENTS, "3d", "1d12h", "6d")]),
    )
    for change in changes
}
"""Changes that the unit tests need not detect: the rule's identifier and the change, with the reason."""


@pytest.mark.parametrize("alert", ALERTS, ids=identifier)
def test_every_alert_is_tested_before_during_and_after_its_fault(alert: Rule) -> None:
    assert missing_coverage(alert, read_test_groups(unit_tests(alert))) is None


def test_there_are_only_unit_tests_of_alerts() -> None:
    assert {file.stem for file in UNIT_TESTS.glob("*.yml")} <= {alert.name for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=identifier)
def test_the_unit_tests_do_not_depend_on_chance(alert: Rule) -> None:
    assert groups_in_any_order(unit_tests(alert), RULES) == set()


@pytest.mark.parametrize("rule", TESTED, ids=identifier)
def test_the_unit_tests_detect_every_change_of_an_alert_and_its_recording_rules(rule: Rule) -> None:
    unnoticed = set(unnoticed_changes(rule))
    excused = {change for name, change in _UNNOTICED if name == identifier(rule)}
    assert unnoticed <= excused, "not detected:\n" + "\n".join(sorted(unnoticed - excused))
    assert excused <= unnoticed, "unused exceptions:\n" + "\n".join(sorted(excused - unnoticed))
