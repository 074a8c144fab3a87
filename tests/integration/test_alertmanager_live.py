"""The real Alertmanager with the project's configuration: receivers, times, repeats, and that no notification is lost.

Durations are divided by a factor; constants in this file are those of the configuration.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import NamedTuple

import pytest

from testbed.drill.receivers import Delivery, Receivers
from tests.support.alerting import PEER_TIMEOUT, PUSH_PULL, Alertmanager, Labels, Sender, Site, configured
from trust_ops.site_config import Site as SiteSettings
from trust_ops.site_config.site import BusinessHours
from trust_ops.stack.ports import LOOPBACK, free_ports

MINUTE = 60.0
HOUR = 3600.0

INCIDENT = "webhook:incident"
DEADMAN = "webhook:deadman"


def email(mailbox: str) -> str:
    return f"email:{mailbox}@trust.test"


def alert(name: str, severity: str, team: str, category: str, service: str = "signer") -> Labels:
    """The labels of an alert."""
    return {
        "alertname": name,
        "severity": severity,
        "team": team,
        "category": category,
        "service": service,
        "service_namespace": "trust",
        "deployment_environment_name": "production",
    }


def notified(receivers: Receivers, of: Labels, status: str = "firing") -> list[Delivery]:
    """The notifications with this alert in this state."""
    return [
        delivery
        for delivery in receivers.deliveries
        if any(shown.status == status and shown.labels == of for shown in delivery.alerts)
    ]


def times(receivers: Receivers, of: Labels, channel: str, status: str = "firing") -> list[float]:
    """Times at which a channel was notified, in seconds of the monotonic clock."""
    return [delivery.monotonic for delivery in notified(receivers, of, status) if delivery.channel == channel]


def channels(receivers: Receivers, of: Labels, status: str = "firing") -> set[str]:
    """The channels that were notified of this alert."""
    return {delivery.channel for delivery in notified(receivers, of, status)}


def dedup_keys(receivers: Receivers, of: Labels, channel: str) -> set[str]:
    """The keys of PagerDuty's incidents, one for each page."""
    return {json.loads(each.raw)["dedup_key"] for each in notified(receivers, of) if each.channel == channel}


def assert_notified(
    receivers: Receivers, whom: Iterable[tuple[Labels, Iterable[str]]], status: str, seconds: float
) -> None:
    """Assert that exactly these channels are notified of these alerts in time."""
    wanted = {frozenset(of.items()): set(names) for of, names in whom}

    def found() -> dict[frozenset[tuple[str, str]], set[str]]:
        # In one pass, because there are many.
        reached: dict[frozenset[tuple[str, str]], set[str]] = {of: set() for of in wanted}
        for delivery in receivers.deliveries:
            for shown in delivery.alerts:
                if shown.status == status:
                    reached.setdefault(frozenset(shown.labels.items()), set()).add(delivery.channel)
        return {of: reached[of] for of in wanted}

    receivers.wait_for(lambda: all(names >= wanted[of] for of, names in found().items()), seconds)
    assert {of: names for of, names in found().items() if names != wanted[of]} == {}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """All notifications must be well-formed. A failed test shows the logs."""
    with Site(tmp_path) as made:
        yield made
        made.show_logs()
        assert made.receivers.problems == []


class Kind(NamedTuple):
    """An alert with its channels, repeat interval, group interval, and the factor of the test."""

    alert: Labels
    channels: set[str]
    every: float | None
    look: float
    factor: float


# Short intervals have a smaller factor, so that they can be measured.
KINDS = {
    "R1 critical security": Kind(
        alert("TrustBruteForceFromAddress", "critical", "security", "security"),
        {"pagerduty:security", "slack:security", email("security"), INCIDENT},
        5 * MINUTE,
        MINUTE / 2,
        120,
    ),
    "R2 critical system": Kind(
        alert("TrustGrpcHighErrorRate", "critical", "platform", "grpc"),
        {"pagerduty:platform", "slack:platform", email("platform"), INCIDENT},
        30 * MINUTE,
        MINUTE,
        120,
    ),
    "R3 security warning": Kind(
        alert("TrustExcessiveRateLimiting", "warning", "security", "security"),
        {"slack:security", email("security"), INCIDENT},
        2 * HOUR,
        5 * MINUTE,
        720,
    ),
    "R3 platform warning": Kind(
        alert("TrustDatabaseSlowQueries", "warning", "platform", "database"),
        {"slack:platform", email("platform"), INCIDENT},
        4 * HOUR,
        5 * MINUTE,
        720,
    ),
    "R4 business": Kind(
        alert("TrustRevenueDrop", "warning", "business", "business"),
        {"slack:business", email("business"), INCIDENT},
        6 * HOUR,
        5 * MINUTE,
        720,
    ),
    "compliance": Kind(
        alert("TrustComplianceFailure", "warning", "compliance", "compliance"),
        {"slack:business", email("compliance"), INCIDENT},
        6 * HOUR,
        5 * MINUTE,
        720,
    ),
    "critical of the business": Kind(
        alert("TrustSlaViolation", "critical", "business", "business"),
        {"pagerduty:platform", "slack:platform", email("platform"), "slack:business", email("business"), INCIDENT},
        None,
        5 * MINUTE,
        720,
    ),
    "info": Kind(alert("TrustSuspiciousActivity", "info", "security", "security"), {"slack:default"}, None, HOUR, 720),
    "warning of a team without route": Kind(
        alert("SomethingOdd", "warning", "nobody", "other"), {"slack:default", INCIDENT}, None, HOUR, 720
    ),
    "unknown severity": Kind(alert("SomethingElse", "page", "nobody", "other"), {"slack:default"}, None, HOUR, 720),
}


@pytest.fixture(scope="module")
def kinds_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Every kind of alert has fired, was repeated, and has resolved."""
    with Site(tmp_path_factory.mktemp("kinds")) as site:
        senders = {factor: site.sender(factor, site.alertmanager(factor)) for factor in (120.0, 720.0)}
        for kind in KINDS.values():
            senders[kind.factor].fire(kind.alert)
        # The longest interval of each factor, twice or once.
        time.sleep(34)
        for kind in KINDS.values():
            senders[kind.factor].resolve(kind.alert)
        site.receivers.wait_for(
            lambda: all(channels(site.receivers, kind.alert, "resolved") >= kind.channels for kind in KINDS.values()),
            10,
        )
        yield site


@pytest.fixture(autouse=True)
def shown_logs(request: pytest.FixtureRequest) -> Iterator[None]:
    """A failed test shows Alertmanager's log."""
    yield
    if "kinds_site" in request.fixturenames:
        request.getfixturevalue("kinds_site").show_logs()


every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
every_repeated_kind = pytest.mark.parametrize(
    "kind", [pytest.param(kind, id=name) for name, kind in KINDS.items() if kind.every]
)


@every_kind
def test_every_kind_of_alert_notifies_exactly_its_receivers(kind: Kind, kinds_site: Site) -> None:
    assert channels(kinds_site.receivers, kind.alert) == kind.channels
    assert kinds_site.receivers.problems == []


@every_kind
def test_everyone_notified_also_gets_the_resolution(kind: Kind, kinds_site: Site) -> None:
    assert channels(kinds_site.receivers, kind.alert, "resolved") == kind.channels
    for channel in kind.channels:
        assert len(times(kinds_site.receivers, kind.alert, channel, "resolved")) == 1


@every_repeated_kind
def test_an_alert_is_repeated_at_the_interval_of_its_kind(kind: Kind, kinds_site: Site) -> None:
    assert kind.every is not None
    for channel in kind.channels - {INCIDENT}:
        moments = times(kinds_site.receivers, kind.alert, channel)
        waits = [after - before for before, after in pairwise(moments)]
        shown = f"{channel}: every {[round(wait * kind.factor / MINUTE, 1) for wait in waits]} minutes"
        print(shown)
        assert waits, f"{channel}: not repeated"
        # Repeated at the first group interval after the repeat interval, plus a second for a busy machine.
        latest = kind.every + kind.look + kind.factor
        assert all(0.97 * kind.every < wait * kind.factor < latest for wait in waits), shown


LEVELS = {
    "team-lead": (15 * MINUTE, {"slack:escalation", email("team-lead"), email("escalation")}),
    "manager": (30 * MINUTE, {email("manager")}),
    "executives": (60 * MINUTE, {email("executive")}),
}
# All levels share a PagerDuty key.
LEVEL_CHANNELS = {"slack:escalation", "pagerduty:escalation", email("escalation")} | {
    email(mailbox) for mailbox in ("team-lead", "manager", "executive")
}


def sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def test_a_critical_alert_escalates_until_it_is_acknowledged_or_resolves(site: Site) -> None:
    factor, seconds_late = 120.0, 3.0
    receivers = site.receivers
    climbing = alert("TrustPkiUnavailable", "critical", "platform", "dependency", "signer")
    acknowledged = alert("TrustAuditRecordsMissing", "critical", "security", "audit", "archive")
    later = alert("TrustSigningFailures", "critical", "platform", "certificate", "validator")
    short = alert("TrustGrpcHighErrorRate", "critical", "platform", "grpc", "gateway")
    faults = site.faults()
    alertmanager = site.alertmanager(factor)
    prometheus = site.prometheus(faults, [climbing, acknowledged, later, short], factor, alertmanager)

    begun = {id(climbing): (start := faults.begin(climbing, acknowledged, short))}
    sleep_until(start + 8 * MINUTE / factor)
    begun[id(later)] = faults.begin(later)
    sleep_until(start + 10 * MINUTE / factor)
    faults.end(short)
    # Both have reached the first level. One of them is acknowledged, by the labels in its notification.
    sleep_until(start + 19 * MINUTE / factor)
    assert channels(receivers, climbing) >= LEVELS["team-lead"][1]
    (shown,) = notified(receivers, acknowledged)[0].alerts
    alertmanager.silence(**shown.labels)
    # The later one reaches its first level while Alertmanager is down. Neither this nor a reload restarts the time.
    sleep_until(start + 22 * MINUTE / factor)
    alertmanager.kill()
    sleep_until(start + 24 * MINUTE / factor)
    alertmanager.start()
    sleep_until(start + 28 * MINUTE / factor)
    alertmanager.reload()
    # Just before the last level. The downtime of Prometheus does not count.
    sleep_until(start + 58 * MINUTE / factor)
    prometheus.kill()
    prometheus.start()
    not_counted = time.monotonic() - (start + 58 * MINUTE / factor)
    receivers.wait_for(lambda: email("executive") in channels(receivers, later), 20 * MINUTE / factor)

    late = {}
    for climber, name in ((climbing, "climbing"), (later, "later")):
        for level, (due, wanted) in LEVELS.items():
            for channel in wanted:
                moments = times(receivers, climber, channel)
                late[name, level, channel] = [moment - begun[id(climber)] - due / factor for moment in moments]
    print({key: [round(each, 2) for each in moments] for key, moments in late.items()})
    for (_, level, _), moments in late.items():
        allowed = seconds_late + (not_counted if level == "executives" else 0)
        assert len(moments) == 1, late
        assert -0.1 < moments[0] < allowed, late
    assert len(dedup_keys(receivers, climbing, "pagerduty:escalation")) == len(LEVELS)
    assert channels(receivers, acknowledged) & LEVEL_CHANNELS == LEVELS["team-lead"][1] | {"pagerduty:escalation"}
    assert len(dedup_keys(receivers, acknowledged, "pagerduty:escalation")) == 1
    assert channels(receivers, short) & LEVEL_CHANNELS == set()

    faults.end(climbing, acknowledged, later)
    receivers.wait_for(
        lambda: all(channels(receivers, over, "resolved") >= LEVEL_CHANNELS for over in (climbing, later)), 15
    )
    for over in (climbing, later):
        assert channels(receivers, over, "resolved") & LEVEL_CHANNELS == LEVEL_CHANNELS
    assert channels(receivers, short, "resolved") & LEVEL_CHANNELS == set()
    # No resolution is sent for a silenced alert.
    assert channels(receivers, acknowledged, "resolved") == set()


WARNED = {"slack:platform", email("platform"), INCIDENT}


def warnings(first: int, end: int) -> list[Labels]:
    """Warnings, each about another service."""
    return [
        alert("TrustServiceInstanceDown", "warning", "platform", "availability", f"service-{number}")
        for number in range(first, end)
    ]


def burst(sender: Sender, alerts: list[Labels], first: Alertmanager) -> float:
    """Fire alerts over some seconds, and kill the first Alertmanager after three quarters. Returns the time."""
    killed = None
    for begin in range(0, len(alerts), 10):
        sender.fire(*alerts[begin : begin + 10])
        time.sleep(0.25)
        if killed is None and begin >= len(alerts) * 3 / 4:
            first.kill()
            killed = time.monotonic()
    assert killed is not None
    return killed


def duplicates(receivers: Receivers, alerts: list[Labels], factor: float, exposed_from: float = inf) -> int:
    """Number of duplicate notifications, which are only allowed after `exposed_from`.

    The repeat interval is longer than the test.
    """
    twice = 0
    for each in alerts:
        for channel in WARNED:
            first, *later = times(receivers, each, channel)
            more = [moment for moment in later if moment - first < 29 * MINUTE / factor]
            assert len(more) <= 1, f"{channel} was notified {1 + len(more)} times of {each['service']}"
            assert not more or first >= exposed_from, f"{channel} was notified twice of {each['service']}"
            twice += len(more)
    print(f"{twice} of {len(alerts) * len(WARNED)} notifications were sent twice")
    return twice


def resolve_all(receivers: Receivers, sender: Sender, alerts: list[Labels]) -> None:
    """Resolve alerts, and assert that everyone is notified once."""
    sender.resolve(*alerts)
    assert_notified(receivers, [(each, WARNED) for each in alerts], "resolved", 30)
    assert all(len(times(receivers, each, channel, "resolved")) == 1 for each in alerts for channel in WARNED)


def test_nothing_is_lost_when_alertmanager_is_killed_in_the_middle_of_a_burst(site: Site) -> None:
    factor = 60.0
    alerts = warnings(0, 200)
    alertmanager = site.alertmanager(factor)
    sender = site.sender(factor, alertmanager)
    killed = burst(sender, alerts, alertmanager)
    alertmanager.start()
    assert_notified(site.receivers, [(each, WARNED) for each in alerts], "firing", 20)
    # Notifications since the last write of the notification log are sent again: one maintenance interval and the write.
    duplicates(site.receivers, alerts, factor, killed - 2.5 * MINUTE / factor)
    time.sleep(2.5 * MINUTE / factor)
    # Half of them resolve during another downtime.
    alertmanager.kill()
    sender.resolve(*alerts[:100])
    alertmanager.start()
    resolve_all(site.receivers, sender, alerts)


def test_a_pair_sends_a_burst_once_and_loses_nothing_when_one_is_killed(site: Site) -> None:
    factor = 60.0
    first, _, sender = pair(site, factor)
    calm, disturbed = warnings(0, 100), warnings(100, 200)
    sender.fire(*calm)
    assert_notified(site.receivers, [(each, WARNED) for each in calm], "firing", 20)
    time.sleep(PEER_TIMEOUT)
    assert duplicates(site.receivers, calm, factor) == 0
    killed = burst(sender, disturbed, first)
    assert_notified(site.receivers, [(each, WARNED) for each in disturbed], "firing", 30)
    # What one has notified since the two met last, the other tells again.
    duplicates(site.receivers, disturbed, factor, killed - 2.5 * PUSH_PULL)
    assert duplicates(site.receivers, calm, factor) == 0
    resolve_all(site.receivers, sender, calm + disturbed)


def pair(site: Site, factor: float) -> tuple[Alertmanager, Alertmanager, Sender]:
    """Two clustered Alertmanagers and a sender to both."""
    one, other = (f"{LOOPBACK}:{port}" for port in free_ports(2))
    first = site.alertmanager(factor, [one, other])
    second = site.alertmanager(factor, [other, one])
    deadline = time.monotonic() + 30
    while (first.cluster_size(), second.cluster_size()) != (2, 2):
        assert time.monotonic() < deadline, "the two did not form a cluster"
        time.sleep(0.1)
    return first, second, site.sender(factor, first, second)


def test_a_silence_survives_a_kill_and_is_known_to_the_other_of_a_pair(site: Site) -> None:
    factor = 60.0
    quiet = alert("TrustSigningFailures", "critical", "platform", "certificate")
    first, second, sender = pair(site, factor)
    silence = first.silence(**quiet)
    deadline = time.monotonic() + 3
    while second.active_silences() != {silence}:
        assert time.monotonic() < deadline, "the other did not receive the silence"
        time.sleep(0.1)
    # Longer than the interval at which silences are written to disk.
    time.sleep(2.5 * MINUTE / factor)
    first.kill()
    second.kill()
    first.start()
    assert first.active_silences() == {silence}
    sender.fire(quiet)
    time.sleep(5 * MINUTE / factor)
    assert notified(site.receivers, quiet) == []


def test_a_channel_that_is_down_is_notified_afterwards_and_delays_no_other(site: Site) -> None:
    factor = 120.0
    receivers = site.receivers
    sender = site.sender(factor, site.alertmanager(factor))
    refused = alert("TrustGrpcHighErrorRate", "critical", "platform", "grpc")
    hung = alert("TrustBruteForceFromAddress", "critical", "security", "security")
    receivers.fail("slack:platform", 500)
    receivers.hang(email("security"))
    start = sender.fire(refused, hung)
    others = {"pagerduty:platform", email("platform"), INCIDENT}
    receivers.wait_for(lambda: channels(receivers, refused) >= others, 5)
    assert channels(receivers, refused) == others
    assert all(times(receivers, refused, channel)[0] - start < 3 for channel in others)
    # A hanging mail server does not delay repeated pages, every five minutes.
    sleep_until(start + 12 * MINUTE / factor + 1)
    assert len(times(receivers, hung, "pagerduty:security")) >= 3
    assert len(times(receivers, hung, "slack:security")) >= 3
    # Nor their resolution.
    sender.resolve(hung)
    assert_notified(receivers, [(hung, {"pagerduty:security", "slack:security", INCIDENT})], "resolved", 5)
    assert_notified(receivers, [(hung, {"pagerduty:security", "slack:security", INCIDENT})], "firing", 0)

    receivers.restore(email("security"))
    receivers.restore("slack:platform")
    receivers.wait_for(
        lambda: (
            "slack:platform" in channels(receivers, refused)
            and email("security") in channels(receivers, hung, "resolved")
        ),
        15,
    )
    assert len(times(receivers, refused, "slack:platform")) == 1
    assert email("security") in channels(receivers, hung, "resolved")
    attempts = [rejection for rejection in receivers.rejections if rejection.channel == "slack:platform"]
    print(f"{len(attempts)} attempts were rejected")
    assert len(attempts) > 1


MUTED = [
    (
        alert("TrustServiceDown", "critical", "platform", "availability", "one"),
        alert("TrustServiceHighErrorRate", "critical", "platform", "availability", "one"),
    ),
    (
        alert("TrustDatabaseConnectionsFailed", "critical", "platform", "dependency", "two"),
        alert("TrustServiceHighLatency", "critical", "platform", "latency", "two"),
    ),
    (
        alert("TrustPkiUnavailable", "critical", "platform", "dependency", "three"),
        alert("TrustSigningFailures", "critical", "platform", "certificate", "three"),
    ),
    (
        alert("TrustAvailabilityBudgetBurn", "critical", "platform", "slo", "four"),
        alert("TrustAvailabilityBudgetBurn", "warning", "platform", "slo", "four"),
    ),
]
NOT_MUTED = [
    # Of another service.
    (alert("TrustServiceHighErrorRate", "critical", "platform", "availability", "five"), "slack:platform"),
    # Security, and certificates that may be the cause.
    (alert("TrustBruteForceFromAddress", "critical", "security", "security", "one"), "slack:security"),
    (alert("TrustAuditRecordsMissing", "critical", "security", "audit", "one"), "slack:security"),
    (alert("TrustSuspiciousActivity", "warning", "security", "security", "one"), "slack:security"),
    (alert("TrustCertificateExpiring", "critical", "platform", "certificate", "one"), "slack:platform"),
]


@pytest.mark.parametrize("cause_first", [True, False], ids=["the cause comes first", "the cause comes last"])
def test_a_cause_mutes_its_symptoms_and_never_security(site: Site, cause_first: bool) -> None:
    # A small factor, so that alerts within half a minute are grouped.
    factor = 20.0
    receivers = site.receivers
    sender = site.sender(factor, site.alertmanager(factor))
    causes, symptoms = [cause for cause, _ in MUTED], [symptom for _, symptom in MUTED]
    order = [causes, symptoms] if cause_first else [symptoms, causes]
    sender.fire(*order[0])
    time.sleep(0.5)
    sender.fire(*order[1], *(each for each, _ in NOT_MUTED))
    expected = [(cause, "slack:platform") for cause in causes] + NOT_MUTED
    receivers.wait_for(lambda: all(channel in channels(receivers, of) for of, channel in expected), 10)
    time.sleep(1)
    assert [of for of, channel in expected if channel not in channels(receivers, of)] == []
    # Incident management is notified immediately, so also of symptoms that fire before their cause.
    allowed = set() if cause_first else {INCIDENT}
    assert [(of, found) for of in symptoms if (found := channels(receivers, of)) - allowed] == []


def test_staging_notifies_the_team_and_development_nobody(site: Site) -> None:
    factor = 120.0
    receivers = site.receivers
    sender = site.sender(factor, site.alertmanager(factor))
    platform = alert("TrustServiceDown", "critical", "platform", "availability")
    security = alert("TrustBruteForceFromAddress", "critical", "security", "security")
    environments = ("production", "staging", "development")
    found = {
        environment: [{**labels, "deployment_environment_name": environment} for labels in (platform, security)]
        for environment in environments
    }
    # As Prometheus sends it when it has been firing for 15 minutes.
    level = {**alert("TrustVaultUnavailable", "critical", "platform", "dependency"), "escalation_level": "team-lead"}
    escalations = [{**level, "deployment_environment_name": environment} for environment in environments]
    sender.fire(*(labels for alerts in found.values() for labels in alerts), *escalations)
    expected = [
        (found["production"][0], {"pagerduty:platform", "slack:platform", email("platform"), INCIDENT}),
        (found["production"][1], {"pagerduty:security", "slack:security", email("security"), INCIDENT}),
        (found["staging"][0], {"slack:platform", email("platform")}),
        (found["staging"][1], {"slack:security", email("security")}),
    ]
    assert_notified(receivers, expected, "firing", 10)
    # Pages are repeated meanwhile.
    time.sleep(40 * MINUTE / factor)
    assert_notified(receivers, expected, "firing", 0)
    assert [each for each in found["development"] if notified(receivers, each)] == []
    escalated = {
        shown.labels["deployment_environment_name"]
        for delivery in receivers.deliveries
        for shown in delivery.alerts
        if shown.labels["alertname"] == level["alertname"]
    }
    assert escalated == {"production"}


def test_a_business_alert_outside_the_hours_is_held_until_they_begin(site: Site, tmp_path: Path) -> None:
    factor = 120.0
    receivers = site.receivers
    muting = SiteSettings(business_hours=BusinessHours(muted_outside=("TrustRevenueDrop",)))
    night = configured(receivers, factor, tmp_path / "night", muting, at_night=True)
    alertmanager = site.started(Alertmanager(night, factor, tmp_path / "alertmanager"))
    sender = site.sender(factor, alertmanager)
    held = alert("TrustRevenueDrop", "warning", "business", "business")
    compliance = alert("TrustComplianceFailure", "warning", "compliance", "compliance")
    not_named = alert("TrustSlaViolation", "warning", "business", "business")
    sender.fire(held, compliance, not_named)
    # Only alerts that the site names are muted at night, and no compliance alert.
    sent = [(compliance, {"slack:business", email("compliance"), INCIDENT})]
    sent += [(not_named, {"slack:business", email("business"), INCIDENT})]
    assert_notified(receivers, sent, "firing", 5)
    time.sleep(2)
    assert channels(receivers, held) == {INCIDENT}
    configured(receivers, factor, tmp_path / "night", muting)
    alertmanager.reload()
    assert_notified(receivers, [(held, {"slack:business", email("business"), INCIDENT})], "firing", 10)


def test_the_dead_mans_switch_receives_the_watchdog_until_the_sender_stops(site: Site) -> None:
    factor = 60.0
    receivers = site.receivers
    sender = site.sender(factor, site.alertmanager(factor))
    watchdog = alert("TrustWatchdog", "info", "platform", "watchdog", "monitoring")
    sender.fire(watchdog)
    time.sleep(6 * MINUTE / factor)
    sender.stop()
    signs = times(receivers, watchdog, "webhook:deadman")
    waits = [after - before for before, after in pairwise(signs)]
    print(f"a heartbeat every {[round(wait * factor) for wait in waits]} s")
    assert max(waits) * factor < 90
    # An alert ends four minutes after Prometheus sent it last.
    stopped = time.monotonic()
    time.sleep(7 * MINUTE / factor)
    after = [sign - stopped for sign in times(receivers, watchdog, "webhook:deadman") if sign > stopped]
    assert after
    assert max(after) < 5 * MINUTE / factor
    assert channels(receivers, watchdog) == {"webhook:deadman"}
    assert notified(receivers, watchdog, "resolved") == []
