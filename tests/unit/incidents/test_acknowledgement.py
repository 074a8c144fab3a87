"""Acknowledging creates a silence and a record, or neither."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from tests.unit.incidents.alertmanagers import Answers, api_alert, api_silence
from tests.unit.incidents.notifications import NIGHT, Clock, alert, timeline
from trust_ops.incidents.acknowledgement import Acknowledgements
from trust_ops.incidents.alertmanager import Alertmanager, AlertmanagerError
from trust_ops.incidents.alertmanager_poller import AlertmanagerPoller
from trust_ops.incidents.database import Database, DatabaseUnavailableError
from trust_ops.incidents.store import AlreadyResolvedError, NoSuchIncidentError, Store

Deliver = Callable[..., dict[str, int]]

HOUR = timedelta(hours=1)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def alertmanager(answers: Answers) -> Alertmanager:
    return Alertmanager(["http://one:9093"], httpx.MockTransport(answers))


@pytest.fixture
def acknowledgements(store: Store, alertmanager: Alertmanager, clock: Clock) -> Acknowledgements:
    return Acknowledgements(store, alertmanager, clock)


@pytest.fixture
def poller(
    store: Store, alertmanager: Alertmanager, acknowledgements: Acknowledgements, clock: Clock
) -> AlertmanagerPoller:
    return AlertmanagerPoller(store, alertmanager, acknowledgements, clock)


def test_acknowledging_silences_exactly_this_alert(
    store: Store, acknowledgements: Acknowledgements, answers: Answers, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert(instance="i-7"))
    clock.forward(minutes=4)
    assert acknowledgements.acknowledge(1, "ann", "restarting it", 2 * HOUR) == clock.now + 2 * HOUR
    (posted,) = answers.posted
    assert {matcher["name"]: matcher["value"] for matcher in posted["matchers"]} == store.incident(1)[0].labels
    assert (posted["createdBy"], posted["comment"]) == ("ann", "incident 1: restarting it")
    incident, events = store.incident(1)
    assert (incident.acknowledged_by, incident.acknowledged_at) == ("ann", clock.now)
    assert incident.acknowledged_until == clock.now + 2 * HOUR
    assert (events[-1].kind, events[-1].person, events[-1].text) == ("acknowledged", "ann", "restarting it")


@pytest.mark.parametrize("failure", [{"away": True}, {"status": 500}, {"status": 401}])
def test_without_alertmanager_nothing_is_recorded(
    store: Store, acknowledgements: Acknowledgements, answers: Answers, deliver: Deliver, failure: dict[str, int]
) -> None:
    deliver(alert())
    for name, value in failure.items():
        setattr(answers, name, value)
    with pytest.raises(AlertmanagerError):
        acknowledgements.acknowledge(1, "ann", "", HOUR)
    assert timeline(store) == [("opened", None)]


def test_the_silence_is_expired_when_recording_fails(
    store: Store,
    acknowledgements: Acknowledgements,
    answers: Answers,
    deliver: Deliver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deliver(alert())

    def fail(*_: object, **__: object) -> None:
        raise DatabaseUnavailableError("the disk is full")

    monkeypatch.setattr(store, "acknowledge", fail)
    with pytest.raises(DatabaseUnavailableError):
        acknowledgements.acknowledge(1, "ann", "", HOUR)
    assert answers.asked == ["POST /api/v2/silences", "DELETE /api/v2/silence/s1"]


def test_a_second_acknowledgement_replaces_the_silence_of_the_first(
    store: Store, acknowledgements: Acknowledgements, answers: Answers, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    acknowledgements.acknowledge(1, "ann", "", HOUR)
    clock.forward(minutes=30)
    acknowledgements.acknowledge(1, "bob", "my shift", 4 * HOUR)
    assert answers.asked[-1] == "DELETE /api/v2/silence/s1"
    incident, _ = store.incident(1)
    assert (incident.acknowledged_by, incident.acknowledged_at) == ("bob", NIGHT)
    assert timeline(store) == [("opened", None), ("acknowledged", "ann"), ("acknowledged", "bob")]


def test_resolved_and_unknown_incidents_cannot_be_acknowledged(
    acknowledgements: Acknowledgements, answers: Answers, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert(ends_at=clock.now))
    with pytest.raises(AlreadyResolvedError, match="incident 1 was resolved at 2026-11-25T03:00:00Z"):
        acknowledgements.acknowledge(1, "ann", "", HOUR)
    with pytest.raises(NoSuchIncidentError, match="there is no incident 7"):
        acknowledgements.acknowledge(7, "ann", "", HOUR)
    assert answers.asked == []


def test_without_an_alertmanager_the_acknowledgement_is_only_recorded(
    store: Store, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    assert Acknowledgements(store, None, clock).acknowledge(1, "ann", "", HOUR) is None
    incident, _ = store.incident(1)
    assert (incident.acknowledged_by, incident.acknowledged_until) == ("ann", None)


def test_poller_and_acknowledgement_record_a_silence_once(
    store: Store,
    acknowledgements: Acknowledgements,
    poller: AlertmanagerPoller,
    answers: Answers,
    clock: Clock,
    deliver: Deliver,
) -> None:
    deliver(alert())
    clock.forward(minutes=1)
    acknowledgements.acknowledge(1, "ann", "", HOUR)
    answers.alerts, answers.silences = [api_alert("a1", "s1")], [api_silence()]
    clock.forward(seconds=15)
    poller.poll()
    store.acknowledge(1, "ann", "", silence_id="s1")
    assert timeline(store) == [("opened", None), ("acknowledged", "ann")]


def test_the_silence_expires_with_the_incident_so_that_the_next_one_notifies(
    store: Store,
    acknowledgements: Acknowledgements,
    poller: AlertmanagerPoller,
    answers: Answers,
    clock: Clock,
    deliver: Deliver,
) -> None:
    deliver(alert())
    clock.forward(minutes=1)
    acknowledgements.acknowledge(1, "ann", "", 4 * HOUR)
    for _ in range(2):
        # Alertmanager sends no resolution for a silenced alert; the alert is only missing from its API.
        clock.forward(minutes=5)
        poller.poll()
    assert store.incident(1)[0].resolved_at == NIGHT + timedelta(minutes=6)
    assert answers.asked.count("DELETE /api/v2/silence/s1") == 1
    assert store.silences_to_expire() == []


def test_a_silence_that_could_not_be_expired_is_expired_later(
    store: Store,
    acknowledgements: Acknowledgements,
    poller: AlertmanagerPoller,
    answers: Answers,
    clock: Clock,
    deliver: Deliver,
) -> None:
    deliver(alert())
    acknowledgements.acknowledge(1, "ann", "", HOUR)
    deliver(alert(ends_at=clock.forward(minutes=1)))
    answers.away = True
    poller.poll()
    assert store.silences_to_expire() == [(1, "s1")]
    answers.away = False
    poller.poll()
    assert store.silences_to_expire() == []


def test_an_alertmanager_outage_is_logged_once_and_resolves_no_incident(
    store: Store,
    poller: AlertmanagerPoller,
    answers: Answers,
    clock: Clock,
    deliver: Deliver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    deliver(alert())
    answers.away = True
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            clock.forward(minutes=5)
            poller.poll()
        assert (poller.state, store.incident(1)[0].resolved_at) == ("down", None)
        answers.away = False
        answers.alerts = [api_alert()]
        poller.poll()
    assert poller.state == "up"
    said = [record.message for record in caplog.records if record.name == "trust_ops.incidents.alertmanager_poller"]
    assert [line.split(": ")[1] for line in said] == [
        "Alertmanager cannot be polled for acknowledgements",
        "Alertmanager is polled for acknowledgements again",
    ]


def test_a_database_outage_does_not_stop_the_poller(
    database: Database, poller: AlertmanagerPoller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away() -> None:
        raise DatabaseUnavailableError("no route to host")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(database, "write", away)
        poller.poll()
    assert "the database is unavailable: no route to host" in caplog.text
    poller.poll()
    assert poller.state == "up"
