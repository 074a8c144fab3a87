"""The receivers of each alert in the rule files, with group waits and repeat intervals."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.contract.alertmanager import ENVIRONMENT, Alert, alerts, amtool, channels, receivers, rendered, routes
from trust_ops.durations import parse_duration
from trust_ops.site_config import Site, render, write
from trust_ops.site_config.files import CONFIGURATION
from trust_ops.site_config.site import BusinessHours

SECURITY_CRITICAL = {"incidents", "security-critical", "security-critical-email"}
SECURITY_WARNING = {"incidents", "security-warning", "security-warning-email"}
PLATFORM_CRITICAL = {"incidents", "platform-critical", "platform-critical-email"}
PLATFORM_WARNING = {"incidents", "platform-warning", "platform-warning-email"}
BUSINESS = {"incidents", "business", "business-email"}
COMPLIANCE = {"incidents", "compliance", "compliance-email"}
DEFAULT = {"default"}

EXPECTED = {
    ("security", "critical"): SECURITY_CRITICAL,
    ("security", "warning"): SECURITY_WARNING,
    ("security", "info"): DEFAULT,
    ("platform", "critical"): PLATFORM_CRITICAL,
    ("platform", "warning"): PLATFORM_WARNING,
    ("business", "warning"): BUSINESS,
    ("compliance", "warning"): COMPLIANCE,
}
"""Receivers by team and severity of an alert. No other label may change them."""

WATCHDOG = "TrustWatchdog"

LEVELS = {
    "team-lead": {"escalation-team-lead", "escalation-team-lead-email"},
    "manager": {"escalation-manager", "escalation-manager-email"},
    "executives": {"escalation-executives", "escalation-executives-email"},
}

REPEAT_INTERVALS = {
    "default": "24h",
    "watchdog": "50s",
    "incidents": "30m",
    "security-critical": "5m",
    "security-warning": "2h",
    "platform-critical": "30m",
    "platform-warning": "4h",
    "business": "6h",
    "compliance": "6h",
    "escalation-team-lead": "1h",
    "escalation-manager": "1h",
    "escalation-executives": "1h",
}

IMMEDIATE = {
    "watchdog",
    "incidents",
    "security-critical",
    "escalation-team-lead",
    "escalation-manager",
    "escalation-executives",
}
"""Receivers that are notified immediately; all others after 30 s."""

# Alerts of additional rules of a site.
OTHER_RULES = [
    ({"severity": "critical"}, PLATFORM_CRITICAL),
    ({"severity": "critical", "team": "platform"}, PLATFORM_CRITICAL),
    ({"severity": "critical", "team": "elsewhere"}, PLATFORM_CRITICAL),
    ({"severity": "critical", "team": "business"}, PLATFORM_CRITICAL | BUSINESS),
    ({"severity": "critical", "team": "compliance"}, PLATFORM_CRITICAL | COMPLIANCE),
    ({"severity": "warning", "team": "elsewhere"}, {"incidents", *DEFAULT}),
    ({"severity": "warning"}, {"incidents", *DEFAULT}),
    ({"severity": "info", "team": "security"}, DEFAULT),
    ({"severity": "page", "team": "platform"}, DEFAULT),
    ({}, DEFAULT),
]

ALL = list(alerts())


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    write(rendered(), folder)
    return folder / CONFIGURATION


def base(name: str) -> str:
    return name.removesuffix("-email")


def identifier(alert: Alert) -> str:
    return "-".join(filter(None, (alert.name, alert.labels.get("escalation_level", alert.labels["severity"]))))


def reached(configuration: Path, labels: dict[str, str]) -> list[str]:
    answer = amtool(
        "config",
        "routes",
        "test",
        f"--config.file={configuration}",
        *(f"{name}={value}" for name, value in labels.items()),
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip().split(",")


def expected(alert: Alert) -> set[str]:
    if alert.name == WATCHDOG:
        return {"watchdog"}
    level = alert.labels.get("escalation_level")
    return LEVELS[level] if level else EXPECTED[alert.labels["team"], alert.labels["severity"]]


def test_amtool_accepts_the_configuration(configuration: Path) -> None:
    answer = amtool("check-config", configuration)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "10 inhibit rules" in answer.stdout


def test_every_alert_has_an_expectation_and_every_expectation_an_alert() -> None:
    ordinary = [alert for alert in ALL if "escalation_level" not in alert.labels and alert.name != WATCHDOG]
    assert {(alert.labels["team"], alert.labels["severity"]) for alert in ordinary} == set(EXPECTED)


def test_every_level_of_escalation_is_expected() -> None:
    assert {alert.labels["escalation_level"] for alert in ALL if "escalation_level" in alert.labels} == set(LEVELS)


@pytest.mark.parametrize("alert", ALL, ids=identifier)
def test_an_alert_reaches_exactly_its_receivers(alert: Alert, configuration: Path) -> None:
    found = reached(configuration, dict(alert.labels))
    assert len(found) == len(set(found))
    assert set(found) == expected(alert)


@pytest.mark.parametrize(
    ("labels", "receivers"), OTHER_RULES, ids=lambda value: str(value) if isinstance(value, dict) else ""
)
def test_alerts_of_other_rules_reach_a_receiver(
    labels: dict[str, str], receivers: set[str], configuration: Path
) -> None:
    assert set(reached(configuration, {"alertname": "SiteAlert", **labels})) == receivers


@pytest.mark.parametrize("alert", ALL, ids=identifier)
def test_no_channel_receives_an_alert_twice(alert: Alert) -> None:
    found = [channel for receiver in expected(alert) for channel in channels(receiver)]
    assert len(found) == len(set(found))


@pytest.mark.parametrize("alert", ALL, ids=identifier)
def test_critical_alerts_and_their_escalations_page_and_no_others(alert: Alert) -> None:
    kinds = {channel.partition(":")[0] for receiver in expected(alert) for channel in channels(receiver)}
    critical = alert.labels["severity"] == "critical"
    assert ("pagerduty" in kinds) is critical
    assert "webhook" in kinds or alert.labels["severity"] == "info" or "escalation_level" in alert.labels


def test_every_receiver_is_reached_by_some_alert() -> None:
    # `nobody` is for environments that only show.
    assert set().union({"nobody"}, *map(expected, ALL)) == set(receivers())
    assert channels("nobody") == []


def test_mail_never_shares_a_receiver() -> None:
    for name, receiver in receivers().items():
        kinds = {key for key in receiver if key != "name"}
        assert ("email_configs" in kinds) is name.endswith("-email")
        assert kinds == {"email_configs"} or "email_configs" not in kinds


def test_every_receiver_but_the_dead_mans_switch_gets_the_resolution() -> None:
    for name, receiver in receivers().items():
        for configs in (configs for key, configs in receiver.items() if key != "name"):
            assert {config["send_resolved"] for config in configs} == {name != "watchdog"}


NOTIFYING = [route for route in routes() if route["receiver"] != "nobody"]


@pytest.mark.parametrize("route", NOTIFYING, ids=lambda route: route["receiver"])
def test_each_receiver_has_its_repeat_interval_and_group_wait(route: dict[str, str]) -> None:
    name = base(route["receiver"])
    assert route["repeat_interval"] == REPEAT_INTERVALS[name]
    assert route["group_wait"] == ("0s" if name in IMMEDIATE else "30s")


@pytest.mark.parametrize("route", NOTIFYING, ids=lambda route: route["receiver"])
def test_a_repeat_is_not_delayed_by_the_group_interval(route: dict[str, str]) -> None:
    repeat, interval = parse_duration(route["repeat_interval"]), parse_duration(route["group_interval"])
    assert not repeat % interval
    # Alertmanager repeats up to one group interval late.
    assert interval <= repeat / 5
    # The delivery of a mail may take as long as the group interval.
    assert interval >= timedelta(seconds=30) or not route["receiver"].endswith("-email")
    assert repeat < timedelta(hours=120)


def is_muted(route: Mapping[str, Any]) -> bool:
    return "mute_time_intervals" in route or "active_time_intervals" in route


def test_nothing_is_muted() -> None:
    assert [route["receiver"] for route in routes() if is_muted(route)] == []


def test_a_site_mutes_the_named_alerts_with_all_their_channels(tmp_path: Path) -> None:
    site = Site(business_hours=BusinessHours(muted_outside=("TrustRevenueDrop", "TrustSlaViolation")))
    made = render(ENVIRONMENT, "/etc/alertmanager/secrets", site)
    muted = [route for route in routes(made.configuration["route"]) if is_muted(route)]
    # For environments that page, and for those that notify.
    assert [route["receiver"] for route in muted] == ["business", "business-email"] * 2
    write(made, tmp_path)
    labels = {"team": "business", "severity": "warning", "service_name": "payments"}
    for environment in ("production", "staging"):
        for name, found in (("TrustRevenueDrop", True), ("TrustProcessingVolumeUnusual", False)):
            shown = amtool(
                *("config", "routes", "test", "--tree", f"--config.file={tmp_path / CONFIGURATION}"),
                *(f"alertname={name}", f"deployment_environment_name={environment}"),
                *(f"{label}={value}" for label, value in labels.items()),
            ).stdout
            assert ("TrustRevenueDrop|TrustSlaViolation" in shown) is found, shown


@pytest.mark.parametrize("route", list(routes()), ids=lambda route: route["receiver"])
def test_grouping_never_crosses_environments(route: Mapping[str, Any]) -> None:
    assert route["group_by"] == ["..."] or "deployment_environment_name" in route["group_by"]
