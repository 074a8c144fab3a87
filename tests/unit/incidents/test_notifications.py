"""Notifications are recorded correctly when they arrive twice, late, out of order or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.incidents.notifications import NIGHT, Clock, alert, payload, timeline
from trust_ops.incidents.database import Database
from trust_ops.incidents.payload import parse
from trust_ops.incidents.store import Store

Deliver = Callable[..., dict[str, int]]

MINUTE = timedelta(minutes=1)


def open_ids(store: Store) -> list[int]:
    found, _ = store.incidents(only_open=True, limit=100)
    return [one.id for one in found]


def test_a_firing_alert_opens_an_incident_with_its_labels_as_columns(store: Store, deliver: Deliver) -> None:
    assert deliver(alert(client_address="192.0.2.7", annotations={"runbook_url": "https://runbooks"})) == {"opened": 1}
    incident, events = store.incident(1)
    columns = (incident.alertname, incident.severity, incident.team, incident.service, incident.category)
    assert columns == ("TrustServiceDown", "critical", "platform", "issuer", "availability")
    assert incident.labels["client_address"] == "192.0.2.7"
    assert incident.annotations["runbook_url"] == "https://runbooks"
    assert (incident.starts_at, incident.resolved_at, incident.fingerprint) == (NIGHT, None, "a1")
    assert (incident.generator_url, incident.alertmanager_url) == ("http://prometheus/graph", "http://alertmanager")
    assert [(event.kind, event.text) for event in events] == [("opened", "by incidents")]


def test_a_resolved_alert_ends_its_incident_when_the_alert_ended(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert())
    clock.forward(minutes=10)
    assert deliver(alert(ends_at=NIGHT + 9 * MINUTE)) == {"resolved": 1}
    assert store.incident(1)[0].resolved_at == NIGHT + 9 * MINUTE
    assert timeline(store) == [("opened", None), ("resolved", None)]
    assert open_ids(store) == []


def test_the_same_notification_twice_changes_nothing(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert())
    clock.forward(seconds=20)
    deliver(alert())
    assert timeline(store) == [("opened", None)]
    clock.forward(minutes=10)
    assert deliver(alert(ends_at=clock.now)) == {"resolved": 1}
    before = store.incident(1)
    clock.forward(seconds=20)
    assert deliver(alert(ends_at=clock.now)) == {"unchanged": 1}
    assert store.incident(1) == before


def test_repetitions_are_one_line_of_the_timeline(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert())
    for _ in range(300):
        clock.forward(minutes=5)
        assert deliver(alert()) == {"notified": 1}
    _, events = store.incident(1)
    assert [(event.kind, event.at, event.text) for event in events] == [
        ("opened", NIGHT, "by incidents"),
        ("notified", NIGHT + 1500 * MINUTE, "by incidents, 301 times since 2026-11-25T03:00:00Z"),
    ]


def test_another_notified_receiver_is_in_the_timeline(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert())
    clock.forward(minutes=15)
    deliver(alert(), receiver="escalation-team-lead")
    assert store.incident(1)[1][-1].text == "by escalation-team-lead"


def test_a_late_firing_notification_does_not_reopen(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert())
    clock.forward(minutes=10)
    deliver(alert(ends_at=clock.now))
    clock.forward(minutes=4, seconds=59)
    assert deliver(alert()) == {"late": 1}
    assert open_ids(store) == []


def test_an_alert_still_firing_long_after_its_resolution_is_reopened(
    store: Store, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    clock.forward(minutes=10)
    deliver(alert(ends_at=clock.now))
    clock.forward(minutes=5)
    assert deliver(alert()) == {"reopened": 1}
    assert open_ids(store) == [1]
    assert timeline(store) == [("opened", None), ("resolved", None), ("reopened", None), ("notified", None)]


def test_an_alert_that_fires_again_is_a_new_incident_and_resolves_the_old_one(
    store: Store, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert())
    clock.forward(minutes=10)
    again = NIGHT + 8 * MINUTE
    assert deliver(alert(starts_at=again)) == {"opened": 1}
    assert open_ids(store) == [2]
    assert store.incident(1)[0].resolved_at == again
    # The notification about the old one was delayed, for however long.
    assert deliver(alert()) == {"late": 1}
    clock.forward(minutes=10)
    assert deliver(alert()) == {"late": 1}
    assert open_ids(store) == [2]
    assert deliver(alert(ends_at=NIGHT + 7 * MINUTE)) == {"unchanged": 1}


def test_resolution_and_new_firing_in_one_notification(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert())
    clock.forward(minutes=10)
    again = alert(starts_at=NIGHT + 9 * MINUTE)
    assert deliver(again, alert(ends_at=NIGHT + 8 * MINUTE)) == {"resolved": 1, "opened": 1}
    assert store.incident(1)[0].resolved_at == NIGHT + 8 * MINUTE
    assert open_ids(store) == [2]


def test_a_firing_notification_of_an_earlier_incident_is_ignored(store: Store, clock: Clock, deliver: Deliver) -> None:
    clock.forward(minutes=10)
    deliver(alert(starts_at=clock.now))
    assert deliver(alert(starts_at=NIGHT)) == {"late": 1}
    assert open_ids(store) == [1]


def test_a_resolution_whose_firing_never_arrived_is_kept(store: Store, clock: Clock, deliver: Deliver) -> None:
    clock.forward(minutes=10)
    assert deliver(alert(ends_at=NIGHT + 5 * MINUTE)) == {"resolved": 1}
    assert store.incident(1)[0].resolved_at == NIGHT + 5 * MINUTE
    assert timeline(store) == [("resolved", None), ("opened", None)]


@pytest.mark.parametrize("end", [NIGHT - MINUTE, NIGHT + 60 * MINUTE], ids=["before-the-start", "in-the-future"])
def test_an_impossible_end_is_clamped(store: Store, clock: Clock, deliver: Deliver, end: datetime) -> None:
    deliver(alert())
    clock.forward(minutes=10)
    deliver(alert(ends_at=end))
    assert store.incident(1)[0].resolved_at == max(NIGHT, min(end, clock.now))


def test_an_alert_listed_twice_is_one_incident(store: Store, deliver: Deliver) -> None:
    assert deliver(alert(), alert()) == {"opened": 1, "notified": 1}
    assert open_ids(store) == [1]


def test_long_names_are_truncated_in_columns_but_not_in_labels(store: Store, deliver: Deliver) -> None:
    deliver(alert(service="s" * 1000, team=""))
    incident, _ = store.incident(1)
    assert (len(incident.service), len(incident.labels["service"]), incident.team) == (255, 1000, "")


def test_open_incidents_are_sorted_by_severity(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert(fingerprint="w", severity="warning"), alert(fingerprint="i", severity="info"))
    clock.forward(minutes=1)
    deliver(
        alert(fingerprint="c2", severity="critical", starts_at=clock.now),
        alert(fingerprint="c1", severity="critical"),
        alert(fingerprint="x", severity="page"),
    )
    found, more = store.incidents(only_open=True, limit=4)
    assert ([one.fingerprint for one in found], more) == (["c1", "c2", "w", "i"], 1)
    newest, _ = store.incidents(only_open=False, limit=1)
    assert newest[0].fingerprint == "c2"


def test_thousands_of_alerts_in_one_notification(store: Store, clock: Clock) -> None:
    firing = [alert(fingerprint=f"{number:x}", instance=str(number)) for number in range(5000)]
    began = time.process_time()
    assert store.deliver(parse(payload(*firing))) == {"opened": 5000}
    clock.forward(minutes=5)
    assert store.deliver(parse(payload(*firing))) == {"notified": 5000}
    ended = [{**one, "status": "resolved", "endsAt": "2026-11-25T03:04:00Z"} for one in firing]
    assert store.deliver(parse(payload(*ended))) == {"resolved": 5000}
    # Alertmanager waits 10 s for each. CPU time, because the machine may be busy.
    assert time.process_time() - began < 15
    assert store.incidents(only_open=True, limit=1) == ([], 0)


def test_incidents_survive_a_restart(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    first = Database(url)
    Store(first, clock).deliver(parse(payload(alert())))
    # Not closed, as when the process is killed.
    second = Database(url)
    assert Store(second, clock).deliver(parse(payload(alert()))) == {"notified": 1}
    first.close()
    second.close()
