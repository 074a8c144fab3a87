"""Acknowledging in PagerDuty ends the escalation: real Prometheus, Alertmanager and incident receiver."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from testbed.drill.receivers.pagerduty_incidents import Incident
from tests.support.alerting import Alertmanager, Labels, Site
from tests.support.incident_receiver import DELIVER, Receiver
from tests.support.postgresql import cluster, needs_postgresql
from tests.support.running import eventually
from trust_ops.stack.ports import LOOPBACK

FACTOR = 60.0
MINUTE = 60 / FACTOR
SECRET = "signing-secret-of-the-subscription"

PLATFORM, ESCALATION = "pagerduty:platform", "pagerduty:escalation"
DOWN = {
    "alertname": "TrustPkiUnavailable",
    "severity": "critical",
    "team": "platform",
    "category": "dependency",
    "service": "signer",
    "service_namespace": "trust",
    "deployment_environment_name": "production",
}
OTHER = {**DOWN, "service": "archive"}


class Setup(NamedTuple):
    site: Site
    receiver: Receiver
    alertmanager: Alertmanager

    def page(self, service: str, channel: str = PLATFORM, seconds: float = 30) -> Incident:
        """The open incident in PagerDuty about a service, awaited for some seconds."""
        found: list[Incident] = []

        def shown() -> int:
            found[:] = [each for each in self.site.receivers.pagerduty.open(channel) if service in each.title]
            return len(found)

        eventually(shown, 1, seconds)
        return found[0]

    def silences(self) -> list[dict[str, Any]]:
        found = httpx.get(f"{self.alertmanager.url}/api/v2/silences", trust_env=False).raise_for_status().json()
        return [silence for silence in found if silence["status"]["state"] == "active"]

    def acknowledged_by(self) -> dict[str, str | None]:
        return {one["service"]: one["acknowledged_by"] for one in self.receiver.incidents()}

    def escalated(self, alert: Labels) -> set[str]:
        """The channels of the escalation that were notified."""
        return {
            delivery.channel
            for delivery in self.site.receivers.deliveries
            for shown in delivery.alerts
            if shown.labels == alert and any(part in delivery.channel for part in ("escalation", "lead", "manager"))
        }

    def last_webhook(self, event_type: str) -> tuple[int | None, int]:
        """Status and number of attempts of the last webhook of a type."""
        found = [each for each in self.site.receivers.pagerduty.deliveries if each.event_type == event_type]
        return (found[-1].status, found[-1].attempts) if found else (None, 0)


def started(site: Site, folder: Path, database: str | None = None) -> Setup:
    receiver = Receiver(folder, database or f"sqlite:///{folder / 'incidents.db'}", SECRET)
    webhook = {"INCIDENT_WEBHOOK_URL": f"{receiver.url}/webhook", "INCIDENT_WEBHOOK_TOKEN": DELIVER}
    alertmanager = site.alertmanager(FACTOR, variables=webhook)
    receiver.uses(alertmanager.url)
    receiver.start()
    site.receivers.pagerduty.subscribe(f"{receiver.url}/pagerduty", SECRET)
    return Setup(site, receiver, alertmanager)


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    with Site(tmp_path) as site:
        made = started(site, tmp_path)
        yield made
        made.receiver.stop()
        site.show_logs()
        print(made.receiver.log.read_text())
        assert site.receivers.problems == []


def test_an_acknowledgement_in_pagerduty_ends_the_escalation_until_it_is_withdrawn(setup: Setup) -> None:
    pagerduty = setup.site.receivers.pagerduty
    faults = setup.site.faults()
    setup.site.prometheus(faults, [DOWN, OTHER], FACTOR, setup.alertmanager)
    began = faults.begin(DOWN)
    page = setup.page("signer")
    pagerduty.acknowledge(page, "ann")
    eventually(setup.acknowledged_by, {"signer": "ann"})
    (silence,) = setup.silences()
    assert (silence["createdBy"], silence["comment"]) == ("ann", "incident 1: acknowledged in PagerDuty")
    time.sleep(max(0.0, began + 18 * MINUTE - time.monotonic()))
    assert setup.escalated(DOWN) == set()

    pagerduty.unacknowledge(page)
    eventually(lambda: len(setup.escalated(DOWN)), 4)
    assert setup.silences() == []
    # The person who was paged at level 2 acknowledges: level 3 is not notified.
    pagerduty.acknowledge(setup.page("signer", ESCALATION), "bob")
    eventually(setup.acknowledged_by, {"signer": "bob"})
    time.sleep(max(0.0, began + 33 * MINUTE - time.monotonic()))
    assert len(setup.escalated(DOWN)) == 4

    # Both pages get the resolution, so that PagerDuty pages again for the next occurrence.
    faults.end(DOWN)
    eventually(lambda: [*pagerduty.open(PLATFORM), *pagerduty.open(ESCALATION)], [], 30)
    eventually(setup.receiver.open, [])
    events = [event for event in setup.receiver.timeline(1) if event[0] != "notified"]
    assert events == [
        ("opened", None),
        ("acknowledged", "ann"),
        ("lapsed", "ann"),
        ("acknowledged", "bob"),
        ("resolved", None),
    ]
    eventually(setup.silences, [])


def test_only_the_alerts_of_the_page_are_acknowledged(setup: Setup) -> None:
    sender = setup.site.sender(FACTOR, setup.alertmanager)
    instances = [{**DOWN, "instance": name} for name in ("a", 'b"\\é')]
    sender.fire(*instances, OTHER)
    setup.site.receivers.pagerduty.acknowledge(setup.page("signer"), "ann")
    eventually(lambda: [one["acknowledged_by"] for one in setup.receiver.incidents()].count("ann"), 2)
    eventually(lambda: setup.last_webhook("incident.acknowledged"), (202, 1))
    assert {one["labels"]["service"] for one in setup.receiver.incidents() if one["acknowledged_by"]} == {"signer"}


def test_an_acknowledgement_is_delivered_again_until_alertmanager_is_back(setup: Setup) -> None:
    sender = setup.site.sender(FACTOR, setup.alertmanager)
    sender.fire(DOWN)
    page = setup.page("signer")
    eventually(setup.receiver.open, ["TrustPkiUnavailable"])
    setup.alertmanager.kill()
    setup.site.receivers.pagerduty.acknowledge(page, "ann")
    eventually(lambda: "cannot be polled" in setup.receiver.log.read_text(), True)
    assert setup.acknowledged_by() == {"signer": None}
    setup.alertmanager.start()
    eventually(setup.acknowledged_by, {"signer": "ann"})
    assert len(setup.silences()) == 1
    eventually(lambda: setup.last_webhook("incident.acknowledged")[0], 202)
    assert setup.last_webhook("incident.acknowledged")[1] > 1


def test_a_new_page_starts_unacknowledged(setup: Setup) -> None:
    pagerduty = setup.site.receivers.pagerduty
    sender = setup.site.sender(FACTOR, setup.alertmanager)
    sender.fire(DOWN)
    first = setup.page("signer")
    eventually(setup.receiver.open, ["TrustPkiUnavailable"])
    # Resolved too early: as long as PagerDuty has no new incident, this counts as an acknowledgement.
    pagerduty.resolve(first, "ann")
    eventually(setup.acknowledged_by, {"signer": "ann"})
    # The next repetition of the alert opens one, after up to half an hour.
    assert setup.page("signer", seconds=90 * MINUTE).id != first.id
    eventually(setup.acknowledged_by, {"signer": None})
    eventually(setup.silences, [])


def test_acknowledging_by_command_and_in_pagerduty_at_once_leaves_one_silence(setup: Setup) -> None:
    sender = setup.site.sender(FACTOR, setup.alertmanager)
    sender.fire(DOWN)
    page = setup.page("signer")
    eventually(setup.receiver.open, ["TrustPkiUnavailable"])
    with ThreadPoolExecutor() as pool:
        command = pool.submit(setup.receiver.command, "incidents", "ack", "1", "--by", "bob")
        pool.submit(setup.site.receivers.pagerduty.acknowledge, page, "ann")
    assert command.result().returncode == 0
    eventually(lambda: setup.last_webhook("incident.acknowledged")[0], 202)
    eventually(lambda: len(setup.silences()), 1)
    assert setup.acknowledged_by() == {"signer": setup.silences()[0]["createdBy"]}


def test_signatures_are_verified_and_secrets_rotate(setup: Setup) -> None:
    pagerduty, url = setup.site.receivers.pagerduty, f"{setup.receiver.url}/pagerduty"
    pagerduty.ping()
    eventually(lambda: setup.last_webhook("pagey.ping"), (202, 1))
    pagerduty.subscribe(url, "secret-of-somebody-else")
    pagerduty.ping()
    eventually(lambda: setup.last_webhook("pagey.ping"), (401, 1))
    # During rotation PagerDuty signs with both.
    pagerduty.subscribe(url, "new-signing-secret", SECRET)
    pagerduty.ping()
    eventually(lambda: setup.last_webhook("pagey.ping"), (202, 1))
    setup.receiver.pagerduty_secrets.write_text("new-signing-secret\n")
    pagerduty.subscribe(url, "new-signing-secret")
    pagerduty.ping()
    eventually(lambda: len(pagerduty.deliveries), 4)
    assert setup.last_webhook("pagey.ping") == (202, 1)
    log = setup.receiver.log.read_text()
    assert SECRET not in log
    assert "new-signing-secret" not in log


@needs_postgresql
def test_an_acknowledgement_in_pagerduty_with_postgresql(tmp_path: Path) -> None:
    with cluster() as postgresql, Site(tmp_path) as site:
        setup = started(site, tmp_path, f"postgresql://trust@{LOOPBACK}:{postgresql.port}/postgres")
        try:
            sender = site.sender(FACTOR, setup.alertmanager)
            sender.fire(DOWN)
            page = setup.page("signer")
            site.receivers.pagerduty.acknowledge(page, "ann")
            eventually(setup.acknowledged_by, {"signer": "ann"})
            # A replay has no effect after the acknowledgement has been withdrawn.
            eventually(lambda: setup.last_webhook("incident.acknowledged")[0], 202)
            (acknowledged,) = (
                each for each in site.receivers.pagerduty.deliveries if each.event_type == "incident.acknowledged"
            )
            site.receivers.pagerduty.unacknowledge(page, "ann")
            eventually(setup.acknowledged_by, {"signer": None})
            again = httpx.post(
                f"{setup.receiver.url}/pagerduty",
                content=acknowledged.body,
                headers=dict(acknowledged.headers),
                trust_env=False,
            )
            assert (again.status_code, json.loads(again.content)) == (202, {"outcome": "already processed"})
            assert setup.silences() == []
        finally:
            setup.receiver.stop()
            print(setup.receiver.log.read_text())
