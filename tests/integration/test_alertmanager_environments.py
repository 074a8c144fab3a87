"""A real Alertmanager keeps environments apart: receivers, groups and inhibition."""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.alertmanager import ENVIRONMENT, alerts
from tests.contract.test_alert_routes import EXPECTED, LEVELS, WATCHDOG
from tests.support.alerting import Alertmanager
from trust_ops.site_config import Site, render, write
from trust_ops.site_config.files import CONFIGURATION, SECRETS

LABEL = "deployment_environment_name"
ALL = list(alerts())

# The receivers of an environment that notifies. A critical alert has those of a warning.
NOTIFIED = {
    "security": {"security-warning", "security-warning-email"},
    "platform": {"platform-warning", "platform-warning-email"},
    "business": {"business", "business-email"},
    "compliance": {"compliance", "compliance-email"},
}

# Special characters of regular expressions, matchers, YAML and templates.
STRANGE = ['eu.west|1 "blue"', "a\\b{c}", "é, (x)*+?", "$x^[y]", "'q' # {{ .x }}", "${shown}", "no", "staging"]

Labels = Mapping[str, str]


class Client:
    """Posts alerts to an Alertmanager, and reads what it makes of them."""

    def __init__(self, url: str) -> None:
        self._url = url

    def post(self, found: list[Labels]) -> None:
        ends = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat()
        body = [{"labels": dict(labels), "endsAt": ends} for labels in found]
        httpx.post(f"{self._url}/api/v2/alerts", json=body, trust_env=False, timeout=30).raise_for_status()

    def get(self, path: str) -> Any:
        return httpx.get(f"{self._url}/api/v2/{path}", trust_env=False, timeout=30).raise_for_status().json()

    def receivers(self) -> dict[frozenset[tuple[str, str]], set[str]]:
        """The receivers of each alert."""
        return {
            frozenset(alert["labels"].items()): {receiver["name"] for receiver in alert["receivers"]}
            for alert in self.get("alerts")
        }

    def inhibited(self) -> set[frozenset[tuple[str, str]]]:
        """The alerts that another one inhibits."""
        return {frozenset(alert["labels"].items()) for alert in self.get("alerts") if alert["status"]["inhibitedBy"]}


Start = Callable[[Site], Client]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start an Alertmanager for a site. It notifies nobody: in the first minute after its start it only groups."""
    started: list[Alertmanager] = []

    def run(site: Site) -> Client:
        folder = tmp_path / f"alertmanager-{len(started)}"
        write(render(ENVIRONMENT, str(folder / "etc" / SECRETS), site), folder / "etc")
        started.append(Alertmanager(folder / "etc" / CONFIGURATION, 1, folder))
        started[-1].start()
        return Client(started[-1].url)

    yield run
    for process in started:
        process.stop()


def expected(labels: Labels, treatment: str) -> set[str]:
    level = labels.get("escalation_level")
    if labels["alertname"] == WATCHDOG:
        return {"watchdog"}
    if treatment == "page":
        return LEVELS[level] if level else EXPECTED[labels["team"], labels["severity"]]
    if treatment == "show" or level:
        return {"nobody"}
    return {"default"} if labels["severity"] == "info" else NOTIFIED[labels["team"]]


def variants(environment: str | None) -> list[dict[str, str]]:
    """Every alert and escalation of a service, in an environment or in none."""
    own = [dict(alert.labels) for alert in ALL if "service_name" in alert.labels]
    return [{name: value for name, value in {**labels, LABEL: environment or ""}.items() if value} for labels in own]


def check(client: Client, treatments: Mapping[str | None, str]) -> None:
    wanted = {
        frozenset(labels.items()): expected(labels, treatment)
        for environment, treatment in treatments.items()
        for labels in variants(environment)
    }
    # The infrastructure belongs to no environment.
    infrastructure = [dict(alert.labels) for alert in ALL if {"service_name", LABEL}.isdisjoint(alert.labels)]
    wanted |= {frozenset(labels.items()): expected(labels, "page") for labels in infrastructure}
    client.post([dict(labels) for labels in wanted])
    found = client.receivers()
    assert found.keys() == wanted.keys()
    assert {of: names for of, names in found.items() if names != wanted[of]} == {}


def test_each_alert_reaches_the_receivers_of_its_environment(start: Start) -> None:
    check(
        start(Site()),
        {
            "production": "page",
            "staging": "notify",
            "development": "show",
            "Staging": "page",
            "qa": "page",
            None: "page",
        },
    )


@pytest.mark.parametrize("other", ["notify", "show"])
def test_other_environments_and_services_without_one_are_treated_alike(start: Start, other: Any) -> None:
    site = Site(environments={"production": "page", "staging": "notify"}, other_environments=other)
    check(start(site), {"production": "page", "staging": "notify", "qa": other, "productio": other, None: other})


def test_environments_may_have_any_name(start: Start) -> None:
    treatments: dict[str | None, str] = {name: ("notify", "show")[number % 2] for number, name in enumerate(STRANGE)}
    site = Site.model_validate({"environments": treatments})
    neighbours: dict[str | None, str] = dict.fromkeys(
        ("euxwest", "eu.west", "1", "ab", "x", "y", "staging2", "stagin"), "page"
    )
    check(start(site), {**treatments, **neighbours})


def test_alerts_of_teams_without_a_route_reach_slack(start: Start) -> None:
    client = start(Site())
    for severity in ("critical", "warning"):
        client.post([{"alertname": "SiteAlert", "severity": severity, "team": "elsewhere", LABEL: "staging"}])
        client.post([{"alertname": "SiteAlert", "severity": severity, LABEL: "staging"}])
    assert set(map(frozenset, client.receivers().values())) == {frozenset({"default"})}


def test_the_same_alert_in_two_environments_is_two_groups(start: Start) -> None:
    client = start(Site(environments={"blue": "page", "green": "page"}))
    labels = next(dict(alert.labels) for alert in ALL if alert.name == "TrustServiceHighErrorRate")
    client.post([{**labels, LABEL: name} for name in ("blue", "green")])
    groups = [
        {alert["labels"][LABEL] for alert in group["alerts"]}
        for group in client.get("alerts/groups")
        if group["receiver"]["name"] == "platform-critical"
    ]
    assert sorted(groups, key=str) == [{"blue"}, {"green"}]


def of(name: str, severity: str = "critical") -> dict[str, str]:
    return next(
        dict(alert.labels)
        for alert in ALL
        if (alert.name, alert.labels.get("severity")) == (name, severity) and "escalation_level" not in alert.labels
    )


COLLECTOR = {
    name: value for name, value in of("TrustMonitoringTargetDown").items() if name not in ("service_name", LABEL)
}

INHIBITION = [
    (of("TrustCertificateExpiring"), of("TrustCertificateExpiring", "warning")),
    (of("TrustServiceDown"), of("TrustServiceHighErrorRate")),
    (of("TrustDatabaseConnectionsFailed"), of("TrustServiceHighLatency")),
    (of("TrustVaultUnavailable"), of("TrustSigningFailures")),
    (of("TrustPkiUnavailable"), of("TrustSigningFailures")),
    (COLLECTOR, of("TrustServiceDown")),
]


@pytest.mark.parametrize(("cause", "symptom"), INHIBITION, ids=lambda labels: f"{labels['alertname']}")
def test_a_cause_in_staging_inhibits_nothing_in_production(start: Start, cause: Labels, symptom: Labels) -> None:
    client = start(Site())
    there = {**symptom, LABEL: "staging"}
    client.post([{**cause, LABEL: "staging"}, there, {**symptom, LABEL: "production"}])
    eventually(lambda: client.inhibited() == {frozenset(there.items())}, client.inhibited)


def test_collectors_without_an_environment_inhibit_in_every_environment(start: Start) -> None:
    client = start(Site())
    symptoms = [{**of("TrustServiceDown"), LABEL: name} for name in ("staging", "production")]
    client.post([COLLECTOR, *symptoms])
    wanted = {frozenset(labels.items()) for labels in symptoms}
    eventually(lambda: client.inhibited() == wanted, client.inhibited)
    # Somebody is paged about the Collectors.
    assert "platform-critical" in client.receivers()[frozenset(COLLECTOR.items())]


def eventually(condition: Callable[[], bool], shown: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, shown()
        time.sleep(0.05)
