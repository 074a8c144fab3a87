"""The incident receiver as a process, with real Alertmanagers that have the project's configuration."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.incident_receiver import DELIVER, OPERATE, Process, Receiver, status
from tests.support.postgresql import cluster, needs_postgresql
from tests.support.running import eventually
from trust_ops.incidents.times import parse_time
from trust_ops.site_config import render, scaled, write
from trust_ops.site_config.files import CONFIGURATION, SECRETS
from trust_ops.stack.binaries import find
from trust_ops.stack.ports import LOOPBACK, free_ports
from trust_ops.stack.recipes import binaries

# Alertmanager's group_interval for incidents becomes 2 s.
FACTOR = 30.0

# Every required channel needs a value; only the receiver is notified.
VARIABLES = {
    **dict.fromkeys(("SMTP_HOST", "PAGERDUTY_SECURITY_KEY", "PAGERDUTY_PLATFORM_KEY"), "off"),
    "PAGERDUTY_ESCALATION_KEY": secrets.token_hex(16),
    **{
        f"SLACK_WEBHOOK_{which}": "https://slack.trust.test/services/T0/B0/x"
        for which in ("DEFAULT", "SECURITY", "PLATFORM", "BUSINESS")
    },
}

DOWN = {
    "alertname": "TrustServiceDown",
    "severity": "critical",
    "team": "platform",
    "service": "issuer",
    "category": "availability",
}
# Of another service: the service that is down would inhibit it.
SLOW = {
    **DOWN,
    "alertname": "TrustDatabaseSlowQueries",
    "severity": "warning",
    "service": "archive",
    "category": "database",
}


class Alertmanager(Process):
    """An Alertmanager that notifies only the incident receiver."""

    def __init__(self, folder: Path, receiver: str) -> None:
        (port,) = free_ports(1)
        self.url = f"http://{LOOPBACK}:{port}"
        folder.mkdir()
        webhook = {"INCIDENT_WEBHOOK_URL": f"{receiver}/webhook", "INCIDENT_WEBHOOK_TOKEN": DELIVER}
        rendered = render({**VARIABLES, **webhook}, str(folder / SECRETS))
        made = scaled(rendered.configuration, FACTOR)
        made["receivers"] = [
            each if each["name"] == "incidents" else {"name": each["name"]} for each in made["receivers"]
        ]
        write(replace(rendered, configuration=made), folder)
        command = [
            *(str(find(binaries()["alertmanager"], os.environ, print)), f"--config.file={folder / CONFIGURATION}"),
            *(f"--web.listen-address={LOOPBACK}:{port}", f"--storage.path={folder / 'data'}"),
            "--cluster.listen-address=",
        ]
        super().__init__(command, f"{self.url}/-/ready", folder / "log")

    def tell(self, *alerts: dict[str, str], starts_at: datetime, ends_at: datetime | None = None) -> None:
        """Send firing alerts, or resolved ones with their end."""
        end = ends_at or datetime.now(timezone.utc) + timedelta(hours=1)
        body = [
            {
                "labels": labels,
                "annotations": {"summary": "The service is down."},
                "startsAt": starts_at.isoformat(),
                "endsAt": end.isoformat(),
            }
            for labels in alerts
        ]
        httpx.post(f"{self.url}/api/v2/alerts", json=body, trust_env=False).raise_for_status()

    def get(self, what: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.url}/api/v2/{what}", trust_env=False).raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found

    def silenced(self) -> list[tuple[str, str]]:
        """Service and level of each silenced alert."""
        return sorted(
            (alert["labels"]["service"], alert["labels"].get("escalation_level", ""))
            for alert in self.get("alerts")
            if alert["status"]["silencedBy"]
        )


Start = Callable[..., tuple[Receiver, Alertmanager]]


@pytest.fixture
def started(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Start a receiver with its Alertmanager; afterwards both are stopped and their logs printed."""
    processes: list[Process] = []
    with ExitStack() as running:

        def start(database: str | None = None) -> tuple[Receiver, Alertmanager]:
            receiver = Receiver(tmp_path, database or f"sqlite:///{tmp_path / 'incidents.db'}")
            alertmanager = Alertmanager(tmp_path / "alertmanager", receiver.url)
            receiver.uses(alertmanager.url)
            for process in (alertmanager, receiver):
                processes.append(process)
                running.callback(process.stop)
                process.start()
            return receiver, alertmanager

        yield start
    for process in processes:
        print(f"{process.log}:\n{process.log.read_text()[-5000:]}")


def now() -> datetime:
    return datetime.now(timezone.utc)


def test_an_alert_from_fire_to_resolution(started: Start) -> None:
    receiver, alertmanager = started()
    began = now()
    alertmanager.tell(DOWN, SLOW, starts_at=began)
    eventually(receiver.open, ["TrustDatabaseSlowQueries", "TrustServiceDown"])
    alertmanager.tell(SLOW, starts_at=began, ends_at=(ended := now()))
    eventually(receiver.open, ["TrustServiceDown"])
    (slow,) = (one for one in receiver.incidents() if one["alertname"] == "TrustDatabaseSlowQueries")
    assert abs(parse_time(slow["resolved_at"]) - ended) < timedelta(milliseconds=1)
    assert abs(parse_time(slow["starts_at"]) - began) < timedelta(milliseconds=1)


def test_an_acknowledgement_creates_a_silence_that_ends_with_the_alert(started: Start) -> None:
    receiver, alertmanager = started()
    began = now()
    other = {**DOWN, "service": "archive"}
    escalated = {**DOWN, "escalation_level": "team-lead"}
    alertmanager.tell(DOWN, other, escalated, starts_at=began)
    eventually(receiver.open, ["TrustServiceDown", "TrustServiceDown"])
    number = next(one["id"] for one in receiver.incidents() if one["service"] == "issuer")

    done = receiver.command("incidents", "ack", str(number), "--by", "ann", "--comment", "restarting", "--for", "1h")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Incident {number} acknowledged, silenced until" in done.stdout
    (silence,) = alertmanager.get("silences")
    assert (silence["createdBy"], silence["comment"]) == ("ann", f"incident {number}: restarting")
    # This alert and its escalation, but not the alert of the other service.
    assert alertmanager.silenced() == [("issuer", ""), ("issuer", "team-lead")]
    listed = receiver.command("incidents", "list", "--open").stdout
    assert "ann for 59 min" in listed or "ann for 1 h" in listed

    # Alertmanager sends no resolution for a silenced alert.
    alertmanager.tell(DOWN, escalated, starts_at=began, ends_at=now())
    eventually(lambda: len(receiver.open()), 1)
    assert receiver.timeline(number)[0:2] == [("opened", None), ("acknowledged", "ann")]
    assert receiver.timeline(number)[-1] == ("resolved", None)
    eventually(lambda: alertmanager.get("silences")[0]["status"]["state"], "expired")
    # So the next one notifies again.
    alertmanager.tell(DOWN, starts_at=now())
    eventually(lambda: len(receiver.open()), 2)
    assert receiver.timeline(max(one["id"] for one in receiver.incidents())) == [("opened", None)]


def test_a_silence_by_amtool_is_an_acknowledgement_until_it_expires(started: Start) -> None:
    receiver, alertmanager = started()
    alertmanager.tell(DOWN, starts_at=now())
    eventually(receiver.open, ["TrustServiceDown"])
    amtool = [str(find(binaries()["amtool"], os.environ, print)), f"--alertmanager.url={alertmanager.url}"]
    made = subprocess.run(
        [*amtool, "silence", "add", "service=~iss.+", "--author=bob", "--comment=known", "--duration=1h"],
        capture_output=True,
        text=True,
        check=True,
    )
    eventually(lambda: receiver.incidents()[0]["acknowledged_by"], "bob")
    subprocess.run([*amtool, "silence", "expire", made.stdout.strip()], check=True)
    eventually(lambda: receiver.incidents()[0]["acknowledged_by"], None)
    kinds = receiver.timeline(1)
    assert [event for event in kinds if event[0] != "notified"] == [
        ("opened", None),
        ("acknowledged", "bob"),
        ("lapsed", "bob"),
    ]


def test_an_acknowledgement_fails_without_alertmanager_and_records_nothing(started: Start) -> None:
    receiver, alertmanager = started()
    alertmanager.tell(DOWN, starts_at=now())
    eventually(receiver.open, ["TrustServiceDown"])
    alertmanager.kill()
    done = receiver.command("incidents", "ack", "1", "--by", "ann")
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: Alertmanager at {alertmanager.url} cannot be reached: ")
    assert receiver.timeline(1) == [("opened", None)]
    health = httpx.get(f"{receiver.url}/healthz", trust_env=False)
    eventually(lambda: httpx.get(f"{receiver.url}/healthz", trust_env=False).json()["alertmanager"], "down")
    assert health.status_code == 200


def test_kills_of_the_receiver_lose_nothing(started: Start) -> None:
    receiver, alertmanager = started()
    alerts = [{**DOWN, "instance": str(number)} for number in range(120)]
    began = now()
    for number, alert in enumerate(alerts):
        if number % 60 == 10:
            receiver.kill()
        alertmanager.tell(alert, starts_at=began)
        if number % 60 == 40:
            receiver.start()
        time.sleep(0.02)
    eventually(lambda: len(receiver.open()), 120, 60)
    receiver.kill()
    alertmanager.tell(*alerts[:60], starts_at=began, ends_at=now())
    time.sleep(1)
    receiver.start()
    eventually(lambda: len(receiver.open()), 60, 60)
    found = receiver.incidents()
    assert sorted(int(one["labels"]["instance"]) for one in found) == list(range(120))
    assert {int(one["labels"]["instance"]) for one in found if one["resolved_at"] is None} == set(range(60, 120))


def test_two_alertmanagers_that_send_the_same_alert_make_one_incident(started: Start, tmp_path: Path) -> None:
    receiver, first = started()
    second = Alertmanager(tmp_path / "second", receiver.url)
    receiver.stop()
    receiver.uses(first.url, second.url)
    receiver.start()
    try:
        second.start()
        began = now()
        for alertmanager in (first, second):
            alertmanager.tell(DOWN, starts_at=began)
        eventually(lambda: delivered(receiver), 2)
        assert len(receiver.incidents()) == 1
        # One of the two is enough for an acknowledgement.
        first.kill()
        done = receiver.command("incidents", "ack", "1", "--by", "ann")
        assert (done.returncode, done.stderr) == (0, "")
        assert [silence["createdBy"] for silence in second.get("silences")] == ["ann"]
    finally:
        second.stop()


def delivered(receiver: Receiver) -> int:
    return receiver.log.read_text().count("notification from receiver incidents")


def test_correcting_a_wrong_token_loses_no_alert(started: Start) -> None:
    receiver, alertmanager = started()
    receiver.deliver_tokens.write_text("token-that-alertmanager-lacks")
    alertmanager.tell(DOWN, starts_at=now())
    eventually(lambda: "unexpected status code 401" in alertmanager.log.read_text(), True)
    assert receiver.open() == []
    # Both are valid for a while, as during rotation.
    receiver.deliver_tokens.write_text(f"token-that-alertmanager-lacks\n{DELIVER}\n")
    eventually(receiver.open, ["TrustServiceDown"])


def test_tokens_are_not_logged(started: Start) -> None:
    receiver, alertmanager = started()
    alertmanager.tell(DOWN, starts_at=now())
    eventually(receiver.open, ["TrustServiceDown"])
    receiver.command("incidents", "ack", "1", "--by", "ann")
    log = receiver.log.read_text()
    assert "incidents are stored in sqlite /" in log
    assert DELIVER not in log
    assert OPERATE not in log


@needs_postgresql
def test_a_postgresql_outage(started: Start) -> None:
    with cluster() as postgresql:
        receiver, alertmanager = started(f"postgresql://trust@{LOOPBACK}:{postgresql.port}/postgres")
        began = now()
        alertmanager.tell(DOWN, starts_at=began)
        eventually(receiver.open, ["TrustServiceDown"])
        postgresql.stop()
        eventually(lambda: status(f"{receiver.url}/healthz"), 503)
        alertmanager.tell(SLOW, starts_at=began)
        eventually(lambda: "unexpected status code 503" in alertmanager.log.read_text(), True)
        done = receiver.command("incidents", "ack", "1", "--by", "ann")
        assert (done.returncode, done.stderr) == (1, "Error: the database is unavailable, try again\n")
        assert alertmanager.get("silences") == []
        # Also when the receiver starts during the outage.
        receiver.kill()
        receiver.start()
        assert status(f"{receiver.url}/healthz") == 503
        postgresql.start()
        eventually(receiver.open, ["TrustDatabaseSlowQueries", "TrustServiceDown"])
        eventually(lambda: status(f"{receiver.url}/healthz"), 200)
        assert receiver.command("incidents", "ack", "1", "--by", "ann").returncode == 0
        assert f"incidents are stored in postgresql at {LOOPBACK}:{postgresql.port}" in receiver.log.read_text()
