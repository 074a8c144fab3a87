"""Acknowledging: a silence and a record, or neither."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from tests.unit.incidents.alertmanagers import Answers, api_alert, api_silence
from tests.unit.incidents.notifications import NIGHT, Clock, alert, timeline
from trust_ops.incidents.acknowledgement import Desk
from trust_ops.incidents.alertmanager import Alertmanager, AlertmanagerError
from trust_ops.incidents.alertmanager_poller import Watch
from trust_ops.incidents.database import Database, DatabaseAwayError
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
def desk(store: Store, alertmanager: Alertmanager, clock: Clock) -> Desk:
    return Desk(store, alertmanager, clock)


@pytest.fixture
def watch(store: Store, alertmanager: Alertmanager, desk: Desk, clock: Clock) -> Watch:
    return Watch(store, alertmanager, desk, clock)


def test_acknowledging_silences_exactly_this_alert(
    store: Store, desk: Desk, answers: Answers, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert(instance="i-7"))
    clock.forward(minutes=4)
    assert desk.acknowledge(1, "ann", "restarting it", 2 * HOUR) == clock.now + 2 * HOUR
    (posted,) = answers.posted
    assert {matcher["name"]: matcher["value"] for matcher in posted["matchers"]} == store.incident(1)[0].labels
    assert (posted["createdBy"], posted["comment"]) == ("ann", "incident 1: restarting it")
    incident, events = store.incident(1)
    assert (incident.acknowledged_by, incident.acknowledged_at) == ("ann", clock.now)
    assert incident.acknowledged_until == clock.now + 2 * HOUR
    assert (events[-1].kind, events[-1].person, events[-1].text) == ("acknowledged", "ann", "restarting it")


@pytest.mark.parametrize("failure", [{"away": True}, {"status": 500}, {"status": 401}])
def test_without_alertmanager_nothing_is_recorded(
    store: Store, desk: Desk, answers: Answers, deliver: Deliver, failure: dict[str, int]
) -> None:
    deliver(alert())
    for name, value in failure.items():
        setattr(answers, name, value)
    with pytest.raises(AlertmanagerError):
        desk.acknowledge(1, "ann", "", HOUR)
    assert timeline(store) == [("opened", None)]


def test_when_the_record_fails_the_silence_is_taken_back(
    store: Store, desk: Desk, answers: Answers, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(alert())

    def fail(*_: object, **__: object) -> None:
        raise DatabaseAwayError("the disk is full")

    monkeypatch.setattr(store, "acknowledge", fail)
    with pytest.raises(DatabaseAwayError):
        desk.acknowledge(1, "ann", "", HOUR)
    assert answers.asked == ["POST /api/v2/silences", "DELETE /api/v2/silence/s1"]


def test_a_second_acknowledgement_replaces_the_silence_of_the_first(
    store: Store, desk: Desk, answers: Answers, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    desk.acknowledge(1, "ann", "", HOUR)
    clock.forward(minutes=30)
    desk.acknowledge(1, "bob", "my shift", 4 * HOUR)
    assert answers.asked[-1] == "DELETE /api/v2/silence/s1"
    incident, _ = store.incident(1)
    assert (incident.acknowledged_by, incident.acknowledged_at) == ("bob", NIGHT)
    assert timeline(store) == [("opened", None), ("acknowledged", "ann"), ("acknowledged", "bob")]


def test_what_is_over_or_never_was_cannot_be_acknowledged(
    desk: Desk, answers: Answers, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert(ends_at=clock.now))
    with pytest.raises(AlreadyResolvedError, match="incident 1 is resolved since 2026-11-25T03:00:00Z"):
        desk.acknowledge(1, "ann", "", HOUR)
    with pytest.raises(NoSuchIncidentError, match="there is no incident 7"):
        desk.acknowledge(7, "ann", "", HOUR)
    assert answers.asked == []


def test_without_an_alertmanager_it_is_only_recorded(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert())
    assert Desk(store, None, clock).acknowledge(1, "ann", "", HOUR) is None
    incident, _ = store.incident(1)
    assert (incident.acknowledged_by, incident.acknowledged_until) == ("ann", None)


def test_the_look_meets_the_acknowledgement_once_whoever_records_it_first(
    store: Store, desk: Desk, watch: Watch, answers: Answers, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    clock.forward(minutes=1)
    desk.acknowledge(1, "ann", "", HOUR)
    answers.alerts, answers.silences = [api_alert("a1", "s1")], [api_silence()]
    clock.forward(seconds=15)
    watch.look()
    store.acknowledge(1, "ann", "", silence_id="s1")
    assert timeline(store) == [("opened", None), ("acknowledged", "ann")]


def test_the_silence_ends_with_the_incident_so_that_the_next_one_is_heard(
    store: Store, desk: Desk, watch: Watch, answers: Answers, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    clock.forward(minutes=1)
    desk.acknowledge(1, "ann", "", 4 * HOUR)
    for _ in range(2):
        # Alertmanager says nothing of the end of what is silenced: the alert is only not there any more.
        clock.forward(minutes=5)
        watch.look()
    assert store.incident(1)[0].resolved_at == NIGHT + timedelta(minutes=6)
    assert answers.asked.count("DELETE /api/v2/silence/s1") == 1
    assert store.silences_left() == []


def test_a_silence_that_could_not_be_ended_is_ended_later(
    store: Store, desk: Desk, watch: Watch, answers: Answers, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    desk.acknowledge(1, "ann", "", HOUR)
    deliver(alert(ends_at=clock.forward(minutes=1)))
    answers.away = True
    watch.look()
    assert store.silences_left() == [(1, "s1")]
    answers.away = False
    watch.look()
    assert store.silences_left() == []


def test_an_alertmanager_that_is_away_is_logged_once_and_ends_no_incident(
    store: Store, watch: Watch, answers: Answers, clock: Clock, deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    deliver(alert())
    answers.away = True
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            clock.forward(minutes=5)
            watch.look()
        assert (watch.state, store.incident(1)[0].resolved_at) == ("away", None)
        answers.away = False
        answers.alerts = [api_alert()]
        watch.look()
    assert watch.state == "up"
    said = [record.message for record in caplog.records if record.name == "trust_ops.incidents.alertmanager_poller"]
    assert [line.split(": ")[1] for line in said] == [
        "acknowledgements in Alertmanager are not seen",
        "acknowledgements in Alertmanager are seen again",
    ]


def test_a_database_that_is_away_does_not_end_the_looking(
    database: Database, watch: Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away() -> None:
        raise DatabaseAwayError("no route to host")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(database, "write", away)
        watch.look()
    assert "the database is away: no route to host" in caplog.text
    watch.look()
    assert watch.state == "up"
