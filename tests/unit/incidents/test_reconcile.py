"""Incidents after polling Alertmanager."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from tests.unit.incidents.notifications import NIGHT, Clock, alert, payload, timeline
from trust_ops.incidents.alertmanager import ActiveAlert, ActiveAlerts, Silence
from trust_ops.incidents.payload import Alert, parse
from trust_ops.incidents.store import Store

Deliver = Callable[..., dict[str, int]]

MINUTE = timedelta(minutes=1)


def seen(
    *silences: Silence, starts_at: datetime = NIGHT, fingerprint: str = "a1", inhibited: bool = False
) -> ActiveAlerts:
    """Alertmanager's active alerts, with only this one."""
    (found,) = parse(payload(alert(starts_at=starts_at, fingerprint=fingerprint))).alerts
    return {fingerprint: ActiveAlert(found, silences, inhibited)}


def silence(
    name: str = "s1", by: str = "ann", *, starts_at: datetime = NIGHT + MINUTE, ends_at: datetime = NIGHT + 60 * MINUTE
) -> Silence:
    return Silence(name, by, "I look at it", starts_at, ends_at)


def is_open(store: Store, number: int = 1) -> bool:
    return store.incident(number)[0].resolved_at is None


def test_a_silence_made_in_alertmanager_is_an_acknowledgement(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert())
    clock.forward(minutes=2)
    for _ in range(3):
        store.reconcile(seen(silence()), clock.forward(seconds=15))
    incident, events = store.incident(1)
    assert incident.acknowledged_at == NIGHT + MINUTE
    assert (incident.acknowledged_by, incident.acknowledged_until) == ("ann", NIGHT + 60 * MINUTE)
    assert [(event.kind, event.person, event.text) for event in events] == [
        ("opened", None, "by incidents"),
        ("acknowledged", "ann", "I look at it"),
    ]


def test_a_silence_older_than_the_alert_acknowledges_from_the_start_of_the_alert(
    store: Store, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    store.reconcile(seen(silence(starts_at=NIGHT - 60 * MINUTE)), clock.forward(seconds=15))
    assert store.incident(1)[0].acknowledged_at == NIGHT


def test_a_silence_of_another_alert_is_ignored(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert())
    store.reconcile({**seen(), **seen(silence(), fingerprint="b2")}, clock.forward(seconds=15))
    assert store.incident(1)[0].acknowledged_by is None


def test_an_acknowledgement_lapses_when_the_silence_expires_and_the_alert_still_fires(
    store: Store, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    store.reconcile(seen(silence()), clock.forward(minutes=2))
    clock.forward(minutes=1)
    store.reconcile(seen(), clock.now)
    incident, _ = store.incident(1)
    assert (incident.acknowledged_at, incident.acknowledged_by) == (NIGHT + MINUTE, None)
    assert timeline(store)[-1] == ("lapsed", "ann")
    store.reconcile(seen(), clock.forward(minutes=1))
    assert len(timeline(store)) == 3


def test_the_longest_silence_determines_who_acknowledged(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert())
    later = silence("s2", "bob", starts_at=NIGHT + 2 * MINUTE, ends_at=NIGHT + 90 * MINUTE)
    store.reconcile(seen(silence(), later), clock.forward(minutes=3))
    incident, _ = store.incident(1)
    assert (incident.acknowledged_by, incident.acknowledged_at) == ("bob", NIGHT + MINUTE)
    assert [person for kind, person in timeline(store) if kind == "acknowledged"] == ["ann", "bob"]


def test_extending_a_silence_is_not_a_new_acknowledgement(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert())
    store.reconcile(seen(silence()), clock.forward(minutes=2))
    store.reconcile(seen(replace(silence(), ends_at=NIGHT + 120 * MINUTE)), clock.forward(minutes=2))
    assert store.incident(1)[0].acknowledged_until == NIGHT + 120 * MINUTE
    assert len(timeline(store)) == 2


def test_an_acknowledgement_during_a_poll_is_kept(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert())
    asked_at = clock.forward(minutes=1)
    clock.forward(seconds=1)
    store.acknowledge(1, "ann", "", until=NIGHT + 60 * MINUTE, silence_id="s1")
    store.reconcile(seen(), asked_at)
    assert store.incident(1)[0].acknowledged_by == "ann"


def test_an_alert_absent_for_five_minutes_is_resolved_at_the_start_of_its_absence(
    store: Store, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    missed = clock.forward(minutes=10)
    store.reconcile({}, missed)
    clock.forward(minutes=4, seconds=59)
    store.reconcile({}, clock.now)
    assert is_open(store)
    store.reconcile({}, clock.forward(seconds=1))
    assert store.incident(1)[0].resolved_at == missed


def test_a_briefly_absent_alert_stays_open(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert())
    store.reconcile({}, clock.forward(minutes=1))
    store.reconcile(seen(), clock.forward(minutes=4))
    store.reconcile({}, clock.forward(minutes=2))
    assert is_open(store)


def test_an_alert_notified_during_a_poll_is_not_absent(store: Store, clock: Clock, deliver: Deliver) -> None:
    asked_at = clock.forward(minutes=1)
    clock.forward(seconds=1)
    deliver(alert())
    store.reconcile({}, asked_at)
    store.reconcile({}, clock.forward(minutes=5))
    assert is_open(store)


def test_an_alert_that_fires_again_under_a_silence_is_a_new_acknowledged_incident(
    store: Store, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    clock.forward(minutes=1)
    store.acknowledge(1, "ann", "", until=NIGHT + 60 * MINUTE, silence_id="s1")
    again = clock.forward(minutes=3)
    held = silence(starts_at=NIGHT + MINUTE)
    store.reconcile(seen(held, starts_at=again), clock.forward(seconds=15))
    store.reconcile(seen(held, starts_at=again), clock.forward(seconds=15))
    assert store.incident(1)[0].resolved_at == again
    assert store.incident(2)[0].acknowledged_by == "ann"
    # The alert and its silence are still active.
    assert store.silences_to_expire() == []
    store.reconcile({}, clock.forward(seconds=15))
    store.reconcile({}, clock.forward(minutes=5))
    assert store.silences_to_expire() == [(2, "s1")]


def test_an_alert_that_fires_again_without_a_notification_is_opened(
    store: Store, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    deliver(alert(ends_at=clock.forward(minutes=5)))
    again = clock.forward(minutes=1)
    store.reconcile(seen(starts_at=again), clock.forward(seconds=15))
    assert is_open(store, 2)
    assert store.incident(2)[1][0].text == "found in Alertmanager"
    assert deliver(alert(starts_at=again)) == {"notified": 1}


def test_an_inhibited_alert_opens_nothing(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert())
    deliver(alert(ends_at=clock.forward(minutes=5)))
    store.reconcile(seen(starts_at=clock.forward(minutes=1), inhibited=True), clock.forward(seconds=15))
    assert store.incidents(only_open=True, limit=1) == ([], 0)


def test_an_alert_that_was_never_notified_is_ignored(store: Store, clock: Clock) -> None:
    store.reconcile(seen(), clock.forward(minutes=1))
    assert store.incidents(only_open=False, limit=1) == ([], 0)


def test_a_false_resolution_is_reopened(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert())
    deliver(alert(ends_at=clock.forward(minutes=5)))
    store.reconcile(seen(), clock.forward(seconds=20))
    assert not is_open(store)
    store.reconcile(seen(), clock.forward(seconds=15))
    assert is_open(store)
    assert timeline(store)[-1] == ("reopened", None)


def test_thousands_of_alerts_at_a_time(store: Store, clock: Clock) -> None:
    many = [alert(fingerprint=f"{number:x}") for number in range(3000)]
    store.deliver(parse(payload(*many)))
    view: dict[str, ActiveAlert] = {}
    for found in parse(payload(*many)).alerts:
        view[found.fingerprint] = ActiveAlert(_later(found))
    store.reconcile(view, clock.forward(minutes=2))
    incidents, more = store.incidents(only_open=True, limit=1)
    assert (incidents[0].starts_at, more) == (NIGHT + MINUTE, 2999)


def _later(found: Alert) -> Alert:
    return replace(found, starts_at=NIGHT + MINUTE)
