"""The links of an alert, and the requirement that it meets."""

import re

import pytest

from tests.contract.rule_files import ALERTS, identifier
from tools.checks.rules import Rule

_ESCALATION = "TrustEscalation"
_RUNBOOKS = "https://runbooks.marty.com"
_DASHBOARD = re.compile(
    r"https://grafana\.marty\.com/d/trust-service-(?:operational|security|business|pki|monitoring)"
    r"\?viewPanel=[1-9][0-9]?"
)
_REQUIREMENTS = {
    "A1": {"TrustServiceDown", "TrustServiceInstanceDown"},
    "A2": {"TrustServiceHighErrorRate"},
    "A3": {"TrustServiceHighLatency"},
    "A4": {"TrustDatabaseConnectionsFailed"},
    "A5": {"TrustHostMemoryHigh", "TrustContainerMemoryHigh"},
    "A6": {"TrustHostDiskSpaceLow"},
    "A7": {"TrustAuthFailuresFromAddress"},
    "A8": {"TrustBruteForceFromAddress"},
    "A9": {"TrustSuspiciousActivity"},
    "A10": {"TrustVaultUnavailable"},
    "A11": {"TrustExcessiveRateLimiting"},
    "A12": {"TrustCertificateValidationFailures"},
    "A13": {"TrustCertificateExpiring"},
    "A14": {"TrustSigningFailures"},
    "A15": {"TrustPkiUnavailable"},
    "A16": {"TrustSlaViolation"},
    "A17": {"TrustProcessingVolumeUnusual"},
    "A18": {"TrustRevenueDrop"},
    "A19": {"TrustComplianceFailure"},
    "A20": {"TrustGrpcHighErrorRate"},
    "A21": {"TrustGrpcStreamFailures"},
    "A22": {"TrustGrpcHighLatency"},
    "A23": {"TrustDatabaseSlowQueries"},
    "A24": {"TrustDatabaseConnectionProblems"},
    "A25": {"TrustDatabaseReplicationLag"},
    "A26": {"TrustKubernetesNodeUnhealthy"},
    "A27": {"TrustContainerRestartLoop"},
    "A28": {"TrustNetworkProblems"},
}


@pytest.mark.parametrize("alert", ALERTS, ids=identifier)
def test_the_runbook_is_that_of_the_alert(alert: Rule) -> None:
    # An escalation links to the page of the escalated alert.
    page = "{{ $labels.escalated_alertname }}" if alert.name == _ESCALATION else alert.name
    assert alert.annotations["runbook_url"] == f"{_RUNBOOKS}/{page}"


@pytest.mark.parametrize("alert", ALERTS, ids=identifier)
def test_the_link_is_that_of_a_panel(alert: Rule) -> None:
    assert _DASHBOARD.fullmatch(alert.annotations["dashboard_url"])


@pytest.mark.parametrize(("requirement", "names"), _REQUIREMENTS.items(), ids=_REQUIREMENTS)
def test_every_required_alert_exists(requirement: str, names: set[str]) -> None:
    assert names <= {alert.name for alert in ALERTS}


def test_all_required_alerts_are_listed() -> None:
    assert list(_REQUIREMENTS) == [f"A{number}" for number in range(1, 29)]


_CRITICAL_SYSTEM = [f"A{number}" for number in range(1, 7)]
_TEAMS = {
    **dict.fromkeys([f"A{number}" for number in range(7, 12)], "security"),
    **dict.fromkeys(["A16", "A17", "A18"], "business"),
    "A19": "compliance",
}
"""The team in the requirements; by default the platform team."""


@pytest.mark.parametrize("requirement", _CRITICAL_SYSTEM)
def test_each_critical_system_alert_is_critical(requirement: str) -> None:
    assert any(alert.labels["severity"] == "critical" for alert in ALERTS if alert.name in _REQUIREMENTS[requirement])


@pytest.mark.parametrize(("requirement", "names"), _REQUIREMENTS.items(), ids=_REQUIREMENTS)
def test_each_required_alert_has_the_team_of_its_requirement(requirement: str, names: set[str]) -> None:
    teams = {alert.labels["team"] for alert in ALERTS if alert.name in names}
    assert teams == {_TEAMS.get(requirement, "platform")}
