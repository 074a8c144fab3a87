"""Which alerts inhibit each other: all pairs, and no unrelated ones."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.alertmanager import Alert, alerts, matches, rendered

# The labels of the Collectors' targets stay on their alerts. A site can give them an environment.
COLLECTOR = {"TrustMonitoringTargetDown", "TrustCollectorCannotDeliver"}
ENVIRONMENT = "deployment_environment_name"


def _in_environments(alert: Alert) -> Iterator[Alert]:
    """The alert; one of the Collectors with an environment, and without one."""
    yield alert
    if alert.name in COLLECTOR:
        labels = {name: value for name, value in alert.labels.items() if name != ENVIRONMENT}
        yield replace(alert, labels=labels)


ALL = [each for alert in alerts() for each in _in_environments(alert)]
RULES: list[dict[str, Any]] = rendered().configuration["inhibit_rules"]
OWN_CRITICAL = "critical-inhibits-its-warning"
DEAD_COLLECTOR = "collector-down-inhibits-pushing-services"
DEAD_SHARED_COLLECTOR = "shared-collector-down-inhibits-pushing-services"

# Labels that distinguish alerts, but not problems.
NO_IDENTITY = {"severity", "team", "category", "escalation_level"}

HTTP = {"TrustServiceHighErrorRate", "TrustServiceHighLatency"}
GRPC = {"TrustGrpcHighErrorRate", "TrustGrpcStreamFailures", "TrustGrpcHighLatency"}
DATABASE = {"TrustDatabaseSlowQueries", "TrustDatabaseConnectionProblems", "TrustDatabaseReplicationLag"}
SLO = {"TrustAvailabilityBudgetBurn", "TrustLatencyBudgetBurn", "TrustValidationBudgetBurn"}
OPERATIONS = {
    *("TrustCertificateValidationFailures", "TrustSigningFailures"),
    *("TrustTimestampFailures", "TrustValidationIndeterminate"),
}
DEADLINES = {"TrustRevocationDecisionOverdue", "TrustRevocationPublicationOverdue"}
BUSINESS = {"TrustSlaViolation", "TrustProcessingVolumeUnusual", "TrustRevenueDrop"}
OF_ITSELF = {
    *("TrustCardinalityOverflow", "TrustCertificateInventoryStale", "TrustSourceUnreadable"),
    *("TrustMeasurementsDropped", "TrustSourceNotChecked", "TrustInstanceClockOff"),
}
# Their service is "monitoring", so they never have the service that is down.
PIPELINE = {
    *("TrustMonitoringTargetDown", "TrustCollectorCannotDeliver", "TrustCollectorQueueFilling"),
    "TrustCollectorQueueDamaged",
    *(
        "TrustCollectorRefusesData",
        "TrustCollectorDropsData",
        "TrustRuleEvaluationFailures",
        "TrustNotificationsFailing",
    ),
}
NEEDS_KEYS = {*OPERATIONS, "TrustValidationBudgetBurn"}

SILENCED = {
    "all-collectors-down-inhibits-each-collector": ({"TrustMonitoringTargetDown"}, {"TrustMonitoringTargetDown"}),
    "service-down-inhibits-its-symptoms": (
        {"TrustServiceDown"},
        HTTP | GRPC | DATABASE | SLO | OPERATIONS | BUSINESS | OF_ITSELF | PIPELINE | {"TrustServiceInstanceDown"},
    ),
    "expiring-certificate-inhibits-its-renewal": (
        {"TrustCertificateExpiring"},
        {"TrustCaRolloverDue", "TrustCertificateRenewalDue"},
    ),
    "database-down-inhibits-its-symptoms": ({"TrustDatabaseConnectionsFailed"}, HTTP | GRPC | DATABASE | SLO),
    "vault-down-inhibits-signing-and-validation": ({"TrustVaultUnavailable"}, NEEDS_KEYS),
    "pki-down-inhibits-signing-and-validation": ({"TrustPkiUnavailable"}, NEEDS_KEYS),
    DEAD_COLLECTOR: (COLLECTOR, {"TrustServiceDown", "TrustServiceInstanceDown"}),
    DEAD_SHARED_COLLECTOR: (COLLECTOR, {"TrustServiceDown", "TrustServiceInstanceDown"}),
}


def sources(rule: Mapping[str, Any]) -> list[Alert]:
    return [alert for alert in ALL if matches(rule["source_matchers"], alert.labels)]


def targets(rule: Mapping[str, Any]) -> list[Alert]:
    return [alert for alert in ALL if matches(rule["target_matchers"], alert.labels)]


def can_be_equal(rule: Mapping[str, Any], source: Alert, target: Alert) -> bool:
    """Whether the two can have equal labels: labels with fixed values in both are equal."""
    fixed = {"alertname", "service", *([ENVIRONMENT] if source.name in COLLECTOR else [])}
    return all(source.labels.get(name, "") == target.labels.get(name, "") for name in fixed & set(rule["equal"]))


def pairs(rule: Mapping[str, Any]) -> Iterator[tuple[Alert, Alert]]:
    for source in sources(rule):
        yield from ((source, target) for target in targets(rule) if can_be_equal({"equal": (), **rule}, source, target))


def named(name: str) -> dict[str, Any]:
    (rule,) = [rule for rule in RULES if rule["name"] == name]
    return rule


@pytest.mark.parametrize("name", SILENCED)
def test_a_cause_inhibits_exactly_its_symptoms(name: str) -> None:
    causes, symptoms = SILENCED[name]
    assert {alert.name for alert in sources(named(name))} == causes
    assert {alert.name for alert in targets(named(name))} == symptoms


def test_an_unhealthy_node_inhibits_alerts_with_its_node() -> None:
    rule = named("unhealthy-node-inhibits-its-workloads")
    assert {alert.name for alert in sources(rule)} == {"TrustKubernetesNodeUnhealthy"}
    assert {alert.name for alert in targets(rule)} == {
        alert.name
        for alert in ALL
        if alert.name in ("TrustContainerRestartLoop", "TrustNetworkProblems") and "node" in alert.labels
    }
    # A label that is absent on both sides counts as equal, so the rule must require it.
    assert not matches(rule["target_matchers"], {"alertname": "TrustNetworkProblems", "instance": "a"})


@pytest.mark.parametrize("alert", ALL, ids=lambda alert: f"{alert.name}-{alert.labels['severity']}")
def test_a_dead_collector_inhibits_no_alert_of_scraped_services(alert: Alert) -> None:
    for name in (DEAD_COLLECTOR, DEAD_SHARED_COLLECTOR):
        assert not matches(named(name)["target_matchers"], {**alert.labels, "delivery": "scrape"})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["name"])
def test_inhibition_never_crosses_environments(rule: dict[str, Any]) -> None:
    if any(ENVIRONMENT in alert.labels for alert in sources(rule)):
        assert ENVIRONMENT in rule["equal"]
    else:
        # Their sources belong to no environment: the Collectors of all environments, and the nodes.
        assert rule["name"] in (DEAD_SHARED_COLLECTOR, "unhealthy-node-inhibits-its-workloads")


def test_a_node_inhibits_alerts_without_an_environment() -> None:
    rule = named("unhealthy-node-inhibits-its-workloads")
    assert all(ENVIRONMENT not in alert.labels for alert in [*sources(rule), *targets(rule)])


def test_every_rule_is_tested() -> None:
    assert {rule["name"] for rule in RULES} == {*SILENCED, OWN_CRITICAL, "unhealthy-node-inhibits-its-workloads"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["name"])
def test_a_label_that_must_be_equal_is_on_both_sides_or_on_none(rule: dict[str, Any]) -> None:
    found = list(pairs(rule))
    assert found, "the rule never applies"
    for source, target in found:
        for label in rule.get("equal", ()):
            assert (label in source.labels) is (label in target.labels), f"{label}: {source.name}, {target.name}"


def test_a_critical_alert_inhibits_only_its_own_warning() -> None:
    rule = named(OWN_CRITICAL)
    both = {source.name for source, _ in pairs(rule)}
    assert both == {
        *("TrustSuspiciousActivity", "TrustCertificateExpiring", "TrustClockOffset", "TrustHsmSessionsExhausted"),
        "TrustListStale",
        *DEADLINES,
        *SLO,
    }
    for alert in ALL:
        if alert.name in both:
            assert set(alert.labels) - NO_IDENTITY <= set(rule["equal"]), alert.name


def test_every_label_that_distinguishes_problems_must_be_equal() -> None:
    missing = {label for alert in ALL for label in alert.labels} - NO_IDENTITY - set(named(OWN_CRITICAL)["equal"])
    assert missing == set()


@pytest.mark.parametrize("alert", ALL, ids=lambda alert: f"{alert.name}-{alert.labels['severity']}")
def test_security_and_audit_alerts_are_inhibited_only_by_their_own_critical(alert: Alert) -> None:
    if alert.labels["category"] in ("security", "audit"):
        assert {rule["name"] for rule in RULES if alert in targets(rule)} <= {OWN_CRITICAL}


def test_an_escalation_is_inhibited_with_its_alert() -> None:
    plain = {(alert.name, alert.labels["severity"]): alert for alert in ALL if "escalation_level" not in alert.labels}
    escalations = [alert for alert in ALL if "escalation_level" in alert.labels]
    assert escalations
    for escalation in escalations:
        alert = plain[escalation.name, "critical"]
        for rule in RULES:
            assert (escalation in targets(rule)) is (alert in targets(rule))
            assert "escalation_level" not in rule.get("equal", ())


def test_no_two_alerts_inhibit_each_other() -> None:
    silences = {
        (source.name, target.name) for rule in RULES for source, target in pairs(rule) if source.name != target.name
    }
    reachable = set(silences)
    while True:
        further = {(first, last) for first, middle in reachable for between, last in silences if middle == between}
        if further <= reachable:
            break
        reachable |= further
    assert {first for first, last in reachable if first == last} == set()
