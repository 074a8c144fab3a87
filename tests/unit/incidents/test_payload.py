"""Which notifications are read, and what is said about the others."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.unit.incidents.notifications import NIGHT, alert, payload
from trust_ops.incidents.payload import PayloadError, parse


def changed(**changes: Any) -> bytes:
    return payload({**alert(), **changes})


def test_a_notification_is_read() -> None:
    end = NIGHT + timedelta(minutes=3)
    notification = parse(payload(alert(), alert(fingerprint="b2", ends_at=end), truncatedAlerts=3))
    firing, resolved = notification.alerts
    assert (notification.receiver, notification.alertmanager_url, notification.truncated) == (
        "incidents",
        "http://alertmanager",
        3,
    )
    assert (firing.firing, firing.starts_at, firing.ends_at, firing.fingerprint) == (True, NIGHT, None, "a1")
    assert (resolved.firing, resolved.ends_at) == (False, end)
    assert firing.labels["service"] == "issuer"


def test_fields_that_are_not_used_may_be_anything_or_missing() -> None:
    one = {key: value for key, value in alert().items() if key in ("status", "labels", "startsAt", "fingerprint")}
    content = {"version": "4", "alerts": [{**one, "new": [1]}], "groupLabels": 7, "later": None}
    assert parse(json.dumps(content).encode()).alerts[0].annotations == {}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b'{"version": "4", "alerts": [' + b"9" * 5000 + b"]}", "the body is not JSON"),
        (b"[]", "the body: a list is not an object"),
        (b'{"version": "3", "alerts": []}', 'version: "3" is not "4"'),
        (b'{"version": 4, "alerts": []}', 'version: 4 is not "4"'),
        (b"{}", 'version: null is not "4"'),
        (b'{"version": "4"}', "alerts: null is not a list"),
        (b'{"version": "4", "alerts": {}}', "alerts: an object is not a list"),
        (b'{"version": "4", "alerts": [null]}', "alerts[0]: null is not an object"),
        (payload(truncatedAlerts="many"), 'truncatedAlerts: "many" is not a number'),
        (payload(receiver=["a"]), "receiver: a list is not a string"),  # type: ignore[arg-type]
        (payload(alert(), {**alert(), "status": "burning"}), 'alerts[1].status: "burning" is neither'),
        (changed(status=None), "alerts[0].status: null is neither firing nor resolved"),
        (changed(fingerprint=""), "alerts[0].fingerprint: must have 1 to 64 characters"),
        (changed(fingerprint="f" * 65), "alerts[0].fingerprint: must have 1 to 64 characters"),
        (changed(fingerprint=7), "alerts[0].fingerprint: 7 is not a string"),
        (changed(labels={}), "alerts[0].labels: must not be empty"),
        (changed(labels={"a": 1}), "alerts[0].labels: an object is not an object of strings"),
        (changed(labels="a"), 'alerts[0].labels: "a" is not an object of strings'),
        (changed(annotations=[]), "alerts[0].annotations: a list is not an object of strings"),
        (changed(startsAt=""), "alerts[0].startsAt: missing"),
        (changed(startsAt="0001-01-01T00:00:00Z"), "alerts[0].startsAt: missing"),
        (changed(startsAt="yesterday"), "alerts[0].startsAt: 'yesterday' is not a time such as"),
        (changed(startsAt="2026-02-30T00:00:00Z"), "alerts[0].startsAt: '2026-02-30T00:00:00Z' is not a valid time"),
        (changed(startsAt=1764039600), "alerts[0].startsAt: 1764039600 is not a string"),
        (changed(status="resolved", endsAt="x" * 999), "alerts[0].endsAt: '" + "x" * 60 + "' is not a time"),
    ],
)
def test_errors_name_the_field(body: bytes, said: str) -> None:
    with pytest.raises(PayloadError) as refused:
        parse(body)
    assert str(refused.value).startswith(said)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-25T03:00:00Z", NIGHT),
        ("2026-11-25T03:00:00.123456789Z", NIGHT + timedelta(microseconds=123456)),
        ("2026-11-25T04:30:00.5+01:30", NIGHT + timedelta(milliseconds=500)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=timezone.utc)),
    ],
)
def test_times_as_go_writes_them(text: str, moment: datetime) -> None:
    assert parse(changed(startsAt=text)).alerts[0].starts_at == moment


def test_text_that_databases_reject_is_replaced() -> None:
    labels = parse(changed(labels={"alertname": "A", "path": "a\0b\ud800c"})).alerts[0].labels
    assert labels["path"] == "a\N{REPLACEMENT CHARACTER}b?c"
