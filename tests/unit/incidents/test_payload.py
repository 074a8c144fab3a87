"""Which notifications are valid, and the errors of the others."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.unit.incidents.notifications import NIGHT, alert, payload
from trust_ops.incidents.payload import parse
from trust_ops.incidents.validation import InvalidError


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
        (b"[]", "the body: must be a JSON object (got a list)"),
        (b'{"version": "3", "alerts": []}', "version: Input should be '4' (got \"3\")"),
        (b'{"version": 4, "alerts": []}', "version: Input should be '4' (got 4)"),
        (b"{}", "version: missing"),
        (b'{"version": "4"}', "alerts: missing"),
        (b'{"version": "4", "alerts": {}}', "alerts: Input should be a valid list (got an object)"),
        (b'{"version": "4", "alerts": [null]}', "alerts[0]: must be a JSON object (got null)"),
        (payload(truncatedAlerts="many"), 'truncatedAlerts: Input should be a valid integer (got "many")'),
        (payload(receiver=["a"]), "receiver: Input should be a valid string (got a list)"),  # type: ignore[arg-type]
        (
            payload(alert(), {**alert(), "status": 7}),
            "alerts[1].status: Input should be 'firing' or 'resolved' (got 7)",
        ),
        (changed(status="burning"), "alerts[0].status: Input should be 'firing' or 'resolved' (got \"burning\")"),
        (changed(status=None), "alerts[0].status: Input should be 'firing' or 'resolved' (got null)"),
        (changed(fingerprint=""), "alerts[0].fingerprint: String should have at least 1 character"),
        (changed(fingerprint="f" * 65), "alerts[0].fingerprint: String should have at most 64 characters"),
        (changed(fingerprint=7), "alerts[0].fingerprint: Input should be a valid string (got 7)"),
        (changed(labels={}), "alerts[0].labels: Value should have at least 1 item"),
        (changed(labels={"a": 1}), "alerts[0].labels.a: Input should be a valid string (got 1)"),
        (changed(labels="a"), 'alerts[0].labels: Input should be a valid dictionary (got "a")'),
        (changed(labels={"n" * 999: 1}), "alerts[0].labels.nnn"),
        (changed(annotations=[]), "alerts[0].annotations: Input should be a valid dictionary (got a list)"),
        (changed(startsAt=""), "alerts[0].startsAt: '' is not a time such as"),
        (changed(startsAt="0001-01-01T00:00:00Z"), "alerts[0].startsAt: missing"),
        (changed(startsAt="yesterday"), "alerts[0].startsAt: 'yesterday' is not a time such as"),
        (changed(startsAt="2026-02-30T00:00:00Z"), "alerts[0].startsAt: '2026-02-30T00:00:00Z' is not a valid time"),
        (changed(startsAt=1764039600), "alerts[0].startsAt: Input should be a valid datetime (got 1764039600)"),
        (changed(status="resolved", endsAt="x" * 999), "alerts[0].endsAt: '" + "x" * 60 + "' is not a time"),
    ],
)
def test_errors_name_the_field(body: bytes, said: str) -> None:
    with pytest.raises(InvalidError) as refused:
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
