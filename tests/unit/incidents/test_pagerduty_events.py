"""Acknowledgements in PagerDuty: which incidents they concern, and when they have no effect."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import quote

import httpx
import pytest

from tests.unit.incidents.alertmanagers import Answers, api_alert, api_silence
from tests.unit.incidents.notifications import NIGHT, Clock, alert, timeline
from tests.unit.incidents.webhooks import INTEGRATION, triggered, user, webhook
from trust_ops.incidents.acknowledgement import Acknowledgements
from trust_ops.incidents.alertmanager import Alertmanager, AlertmanagerError
from trust_ops.incidents.alertmanager_poller import AlertmanagerPoller
from trust_ops.incidents.pagerduty import parse_event
from trust_ops.incidents.pagerduty_events import NotYetRecordedError, PagerDutyEvents
from trust_ops.incidents.store import Store
from trust_ops.incidents.validation import InvalidError

Deliver = Callable[..., dict[str, int]]
Send = Callable[..., str]

ACKNOWLEDGED, UNACKNOWLEDGED = "incident.acknowledged", "incident.unacknowledged"


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def acknowledgements(store: Store, answers: Answers, clock: Clock) -> Acknowledgements:
    return Acknowledgements(store, Alertmanager(["http://one:9093"], httpx.MockTransport(answers)), clock)


@pytest.fixture
def process(store: Store, acknowledgements: Acknowledgements, clock: Clock) -> Callable[[bytes], str]:
    events = PagerDutyEvents(store, acknowledgements, clock)

    def processed(body: bytes) -> str:
        event = parse_event(body)
        assert event is not None
        return events.process(event)

    return processed


@pytest.fixture
def send(process: Callable[[bytes], str], clock: Clock) -> Send:
    """A minute later, something happens in PagerDuty."""

    def sent(event_type: str, person: str | None = "ann", **more: str) -> str:
        agent = None if person is None else user(person)
        return process(webhook(event_type, clock.forward(minutes=1), agent=agent, **more))

    return sent


def acknowledged(store: Store, number: int = 1) -> str | None:
    return store.incident(number)[0].acknowledged_by


def test_an_acknowledgement_silences_the_escalation_of_the_alert(
    store: Store, process: Callable[[bytes], str], send: Send, answers: Answers, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert(instance="i-7"))
    assert process(triggered()) == "page recorded"
    assert send(ACKNOWLEDGED) == "acknowledged 1 incidents"
    incident, events = store.incident(1)
    assert (incident.acknowledged_by, incident.acknowledged_until) == ("ann", clock.now + timedelta(hours=2))
    assert (events[-1].person, events[-1].text) == ("ann", "acknowledged in PagerDuty")
    (posted,) = answers.posted
    assert (posted["createdBy"], posted["comment"]) == ("ann", "incident 1: acknowledged in PagerDuty")
    level = {"name": "escalation_level", "value": ".+", "isRegex": True, "isEqual": True}
    assert posted["matchers"][-1] == level
    assert {each["name"]: each["value"] for each in posted["matchers"][:-1]} == incident.labels


def test_a_level_that_is_notified_is_not_silenced_so_that_it_gets_the_resolution(
    process: Callable[[bytes], str], send: Send, answers: Answers, deliver: Deliver
) -> None:
    deliver(alert())
    process(triggered())
    labels = alert()["labels"]
    answers.alerts = [
        {**api_alert("l2"), "labels": {**labels, "escalation_level": "team-lead"}},
        # Another silence has prevented the notification.
        {**api_alert("l3", "s9"), "labels": {**labels, "escalation_level": "manager"}},
        {**api_alert("x"), "labels": {**labels, "service": "other", "escalation_level": "executives"}},
    ]
    answers.silences = [api_silence("s9")]
    send(ACKNOWLEDGED)
    levels = [each for each in answers.posted[0]["matchers"] if each["name"] == "escalation_level"]
    assert [(each["value"], each["isEqual"]) for each in levels] == [(".+", True), ("team-lead", False)]


def test_only_open_alerts_of_the_page_that_began_before_are_acknowledged(
    store: Store, process: Callable[[bytes], str], send: Send, clock: Clock, deliver: Deliver
) -> None:
    deliver(
        alert(instance="a"),
        alert(instance="b", fingerprint="b"),
        alert(service="other", fingerprint="other"),
        alert(severity="warning", fingerprint="warning"),
        alert(service_namespace="elsewhere", fingerprint="namespace"),
        alert(deployment_environment_name="staging", fingerprint="environment"),
        alert("TrustVaultUnavailable", fingerprint="name"),
        alert(instance="over", fingerprint="over", ends_at=clock.now),
        alert(instance="later", fingerprint="later", starts_at=NIGHT + timedelta(minutes=5)),
    )
    process(triggered())
    assert send(ACKNOWLEDGED) == "acknowledged 2 incidents"
    found, _ = store.incidents(only_open=False, limit=100)
    assert {one.labels.get("instance") for one in found if one.acknowledged_by} == {"a", "b"}


def test_the_page_of_an_escalation_concerns_exactly_its_alert(
    store: Store, process: Callable[[bytes], str], send: Send, deliver: Deliver
) -> None:
    labels = {**alert(instance="a")["labels"], "escalation_level": "team-lead"}
    matchers = ",".join(f'{name}="{value}"' for name, value in labels.items())
    deliver(alert(instance="a"), alert(instance="b", fingerprint="b"), alert(fingerprint="none"))
    process(triggered(client_url=f"https://am/#/alerts?filter={quote('{' + matchers + '}')}"))
    assert send(ACKNOWLEDGED, "bob") == "acknowledged 1 incidents"
    found, _ = store.incidents(only_open=True, limit=100)
    assert {one.labels.get("instance") for one in found if one.acknowledged_by == "bob"} == {"a"}


@pytest.mark.parametrize(
    ("event_type", "more"),
    [
        (UNACKNOWLEDGED, {}),
        ("incident.reopened", {}),
        ("incident.escalated", {"status": "triggered"}),
        ("incident.reassigned", {"status": "triggered"}),
        ("incident.delegated", {"status": "triggered"}),
    ],
)
def test_a_withdrawn_acknowledgement_resumes_the_escalation(
    store: Store,
    process: Callable[[bytes], str],
    send: Send,
    answers: Answers,
    deliver: Deliver,
    event_type: str,
    more: dict[str, str],
) -> None:
    deliver(alert())
    process(triggered())
    send(ACKNOWLEDGED)
    assert send(event_type, None, **more) == "withdrew the acknowledgement of 1 incidents"
    assert answers.asked[-1] == "DELETE /api/v2/silence/s1"
    assert timeline(store) == [("opened", None), ("acknowledged", "ann"), ("lapsed", "ann")]
    assert store.incident(1)[1][-1].text == "no longer acknowledged in PagerDuty"
    assert acknowledged(store) is None
    assert send(ACKNOWLEDGED, "bob") == "acknowledged 1 incidents"
    assert acknowledged(store) == "bob"


def test_an_acknowledged_incident_that_is_reassigned_stays_acknowledged(
    store: Store, process: Callable[[bytes], str], send: Send, deliver: Deliver
) -> None:
    deliver(alert())
    process(triggered())
    send(ACKNOWLEDGED)
    assert send("incident.reassigned", status="acknowledged") == "ignored"
    assert acknowledged(store) == "ann"


def test_a_person_who_resolves_acknowledges_until_there_is_a_new_page(
    store: Store, process: Callable[[bytes], str], send: Send, answers: Answers, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    process(triggered())
    assert send("incident.resolved") == "acknowledged 1 incidents"
    assert store.incident(1)[1][-1].text == "resolved in PagerDuty"
    assert process(triggered(clock.forward(minutes=20), page="Q2")) == "page recorded"
    assert answers.asked[-1] == "DELETE /api/v2/silence/s1"
    assert acknowledged(store) is None


def test_alertmanagers_own_resolution_acknowledges_nothing(
    store: Store, process: Callable[[bytes], str], clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    process(triggered())
    for agent in (INTEGRATION, None):
        assert process(webhook("incident.resolved", clock.forward(minutes=1), agent=agent)) == "ignored"
    assert acknowledged(store) is None


def test_a_repeated_or_outdated_event_has_no_effect(
    store: Store, process: Callable[[bytes], str], answers: Answers, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    first, acknowledge, withdraw = (
        triggered(),
        webhook(ACKNOWLEDGED, clock.forward(minutes=1), agent=user("ann")),
        webhook(UNACKNOWLEDGED, clock.forward(minutes=1)),
    )
    for body in (first, first, acknowledge, acknowledge, withdraw):
        process(body)
    before, asked = store.incident(1), list(answers.asked)
    assert [process(body) for body in (first, acknowledge, withdraw)] == ["page recorded"] + 2 * ["already processed"]
    assert (store.incident(1), answers.asked) == (before, asked)
    assert len(answers.posted) == 1


def test_two_deliveries_at_once_create_one_silence(
    process: Callable[[bytes], str], answers: Answers, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    process(triggered())
    event = webhook(ACKNOWLEDGED, clock.forward(minutes=1), agent=user("ann"))
    with ThreadPoolExecutor() as pool:
        outcomes = sorted(pool.map(process, [event] * 4))
    assert outcomes == ["acknowledged 1 incidents"] + 3 * ["already processed"]
    assert len(answers.posted) == 1


def test_without_a_configured_alertmanager_the_acknowledgement_is_only_recorded(
    store: Store, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    events = PagerDutyEvents(store, Acknowledgements(store, None, clock), clock)
    for body in (
        triggered(),
        webhook(ACKNOWLEDGED, clock.forward(minutes=1), agent=user("ann")),
        webhook(UNACKNOWLEDGED, clock.forward(minutes=1)),
    ):
        event = parse_event(body)
        assert event is not None
        events.process(event)
    assert timeline(store) == [("opened", None), ("acknowledged", "ann"), ("lapsed", "ann")]


def test_a_redelivery_after_a_failure_acknowledges_only_the_rest(
    store: Store, process: Callable[[bytes], str], answers: Answers, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert(), alert(instance="b", fingerprint="b"))
    process(triggered())
    event = webhook(ACKNOWLEDGED, clock.forward(minutes=1), agent=user("ann"))
    answers.away_after = 3  # the alerts, the silences, and the first of the two silences to create
    with pytest.raises(AlertmanagerError):
        process(event)
    assert [acknowledged(store, number) for number in (1, 2)] == ["ann", None]
    answers.away, answers.away_after = False, None
    assert process(event) == "acknowledged 1 incidents"
    assert [acknowledged(store, number) for number in (1, 2)] == ["ann", "ann"]
    assert [kind for kind, _ in timeline(store)] == ["opened", "acknowledged"]


def test_without_alertmanager_nothing_is_withdrawn(
    store: Store, process: Callable[[bytes], str], send: Send, answers: Answers, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    process(triggered())
    send(ACKNOWLEDGED)
    event = webhook(UNACKNOWLEDGED, clock.forward(minutes=1))
    answers.away = True
    with pytest.raises(AlertmanagerError):
        process(event)
    assert acknowledged(store) == "ann"
    answers.away = False
    assert process(event) == "withdrew the acknowledgement of 1 incidents"
    assert acknowledged(store) is None


def test_an_acknowledgement_by_command_stays_when_pagerdutys_is_withdrawn(
    store: Store,
    process: Callable[[bytes], str],
    send: Send,
    acknowledgements: Acknowledgements,
    deliver: Deliver,
) -> None:
    deliver(alert())
    process(triggered())
    send(ACKNOWLEDGED)
    acknowledgements.acknowledge(1, "bob", "", timedelta(hours=4))
    send(UNACKNOWLEDGED)
    assert acknowledged(store) == "bob"
    # Nor is it replaced by a shorter silence, which lets the repeats of the alert pass.
    assert send(ACKNOWLEDGED) == "acknowledged 0 incidents"
    assert acknowledged(store) == "bob"


def test_the_acknowledgement_of_another_page_replaces_that_of_the_first(
    store: Store, process: Callable[[bytes], str], send: Send, answers: Answers, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    process(triggered())
    send(ACKNOWLEDGED)
    process(triggered(page="Q2"))
    assert send(ACKNOWLEDGED, "bob", page="Q2") == "acknowledged 1 incidents"
    assert answers.asked[-1] == "DELETE /api/v2/silence/s1"
    send(UNACKNOWLEDGED)
    assert acknowledged(store) == "bob"


def test_the_poller_keeps_the_acknowledgement_while_the_escalation_is_silenced(
    store: Store,
    acknowledgements: Acknowledgements,
    process: Callable[[bytes], str],
    send: Send,
    answers: Answers,
    clock: Clock,
    deliver: Deliver,
) -> None:
    deliver(alert())
    process(triggered())
    send(ACKNOWLEDGED)
    poller = AlertmanagerPoller(
        store, Alertmanager(["http://one:9093"], httpx.MockTransport(answers)), acknowledgements, clock
    )
    answers.alerts = [{**api_alert(), "labels": store.incident(1)[0].labels}]
    answers.silences = [{**api_silence("s1"), "matchers": answers.posted[0]["matchers"]}]
    clock.forward(minutes=1)
    poller.poll()
    assert acknowledged(store) == "ann"
    # A silence of other alerts, or of a part of the escalation, acknowledges nothing.
    other = [
        {**each, "isEqual": False} if each["name"] == "service" else each for each in answers.posted[0]["matchers"]
    ]
    answers.silences = [{**api_silence("s1"), "matchers": other}]
    clock.forward(minutes=1)
    poller.poll()
    assert timeline(store) == [("opened", None), ("acknowledged", "ann"), ("lapsed", "ann")]


def test_an_event_before_the_alert_is_recorded_is_delivered_again(
    store: Store, process: Callable[[bytes], str], clock: Clock, deliver: Deliver
) -> None:
    process(triggered())
    event = webhook(ACKNOWLEDGED, clock.forward(seconds=30), agent=user("ann"))
    with pytest.raises(NotYetRecordedError):
        process(event)
    deliver(alert())
    assert process(event) == "acknowledged 1 incidents"
    # Not forever: these alerts may not be routed to the receiver.
    process(triggered(clock.now, page="Q2", client_url="https://am/#/alerts?filter=%7Balertname%3D%22Other%22%7D"))
    event = webhook(ACKNOWLEDGED, clock.forward(seconds=30), page="Q2", agent=user("ann"))
    clock.forward(minutes=2)
    assert process(event) == "acknowledged 0 incidents"


def test_a_late_acknowledgement_of_a_resolved_alert_has_no_effect(
    store: Store, process: Callable[[bytes], str], send: Send, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    process(triggered())
    deliver(alert(ends_at=clock.forward(minutes=1)))
    assert send(ACKNOWLEDGED) == "acknowledged 0 incidents"
    assert timeline(store) == [("opened", None), ("resolved", None)]


@pytest.mark.parametrize("event_type", [ACKNOWLEDGED, UNACKNOWLEDGED, "incident.resolved"])
def test_incidents_of_other_integrations_are_not_ours(
    store: Store, process: Callable[[bytes], str], send: Send, deliver: Deliver, event_type: str
) -> None:
    deliver(alert())
    assert process(triggered(client_url="https://elsewhere.test/monitors/7")) == "not a page of Alertmanager"
    assert send(event_type) == "not a page of Alertmanager"
    assert timeline(store) == [("opened", None)]


def test_an_old_event_is_rejected(process: Callable[[bytes], str], clock: Clock) -> None:
    body = triggered()
    clock.forward(hours=24)
    assert process(body) == "page recorded"
    clock.forward(seconds=1)
    said = r"event\.occurred_at: 2026-.* is more than 24 hours from 2026-.*; check the clock"
    with pytest.raises(InvalidError, match=said):
        process(body)


def test_an_event_from_the_future_does_not_outdate_later_ones(
    store: Store, process: Callable[[bytes], str], send: Send, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    process(triggered())
    with pytest.raises(InvalidError, match="check the clock"):
        process(webhook(ACKNOWLEDGED, clock() + timedelta(hours=24, seconds=1)))
    assert send(ACKNOWLEDGED) == "acknowledged 1 incidents"


def test_an_event_without_an_incident_is_rejected(process: Callable[[bytes], str]) -> None:
    with pytest.raises(InvalidError, match=r"event\.data\.id: missing"):
        process(webhook(ACKNOWLEDGED, page=""))


def test_old_pages_are_deleted(
    store: Store, process: Callable[[bytes], str], send: Send, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    process(triggered())
    send(ACKNOWLEDGED)
    clock.forward(days=400)
    store.delete_resolved(timedelta(days=400) + timedelta(seconds=1))
    assert store.last_page_event("Q1") is not None
    store.delete_resolved(timedelta(days=399))
    assert store.last_page_event("Q1") is None
