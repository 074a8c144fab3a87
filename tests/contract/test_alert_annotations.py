"""Where an alert sends people, and which requirement it meets."""

import re

import pytest

from tests.contract.rule_files import ALERTS, identifier
from tools.checks.rules import Rule

_ESCALATION = "TrustEscalation"
_RUNBOOKS = "https://runbooks.marty.com"
_DASHBOARD = re.compile(
    r"https://grafana\.marty\.com/d/trust-service-(?P<dashboard>operational|security|business|monitoring)"
    r"\?viewPanel=(?P<panel>[1-9][0-9]?)"
)
_PANELS = {"operational": 9, "security": 10, "business": 10, "monitoring": 9}
"""How many panels the requirements number: O1 to O9, S1 to S10, B1 to B10; those of the pipeline are ours."""
_FURTHER_PANELS = {("monitoring", 24)}
"""What was folded: the numbered panel of cardinality does not show it."""

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
    # An escalation is about another alert, and sends people to that one's page.
    page = "{{ $labels.escalated_alertname }}" if alert.name == _ESCALATION else alert.name
    assert alert.annotations["runbook_url"] == f"{_RUNBOOKS}/{page}"


@pytest.mark.parametrize("alert", ALERTS, ids=identifier)
def test_the_dashboard_is_one_of_ours_and_has_the_panel(alert: Rule) -> None:
    address = _DASHBOARD.fullmatch(alert.annotations["dashboard_url"])
    assert address is not None
    dashboard, panel = address["dashboard"], int(address["panel"])
    assert panel <= _PANELS[dashboard] or (dashboard, panel) in _FURTHER_PANELS


@pytest.mark.parametrize(("requirement", "names"), _REQUIREMENTS.items(), ids=_REQUIREMENTS)
def test_every_required_alert_is_there(requirement: str, names: set[str]) -> None:
    assert names <= {alert.name for alert in ALERTS}


def test_all_required_alerts_are_listed() -> None:
    assert list(_REQUIREMENTS) == [f"A{number}" for number in range(1, 29)]


_CRITICAL_SYSTEM = [f"A{number}" for number in range(1, 7)]
_TEAMS = {
    **dict.fromkeys([f"A{number}" for number in range(7, 12)], "security"),
    **dict.fromkeys(["A16", "A17", "A18"], "business"),
    "A19": "compliance",
}
"""The team that the requirements name; the platform team has the rest."""


@pytest.mark.parametrize("requirement", _CRITICAL_SYSTEM)
def test_each_critical_system_alert_is_critical(requirement: str) -> None:
    assert any(alert.labels["severity"] == "critical" for alert in ALERTS if alert.name in _REQUIREMENTS[requirement])


@pytest.mark.parametrize(("requirement", "names"), _REQUIREMENTS.items(), ids=_REQUIREMENTS)
def test_each_required_alert_has_the_team_of_its_requirement(requirement: str, names: set[str]) -> None:
    teams = {alert.labels["team"] for alert in ALERTS if alert.name in names}
    assert teams == {_TEAMS.get(requirement, "platform")}
