"""Alertmanager's own webhooks, version 4.

Source: Alertmanager, configuration, `webhook_config`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from testbed.drill.receivers.record import Alert, Status
from testbed.drill.receivers.text import is_address, template_errors

_TEXTS = ("groupKey", "receiver", "externalURL")
_OBJECTS = ("groupLabels", "commonLabels", "commonAnnotations")
_STATUSES: tuple[Status, ...] = ("firing", "resolved")
# How Go writes a time that is not set; so ends an alert that fires.
_NEVER = "0001-01-01T00:00:00Z"


class MessageError(Exception):
    """Not a message of this version."""


def parse(body: bytes) -> Mapping[str, Any]:
    """The message of a request. Raises MessageError."""
    try:
        message = json.loads(body)
    except ValueError as error:
        raise MessageError(f"no JSON: {error}") from None
    if not isinstance(message, dict):
        raise MessageError("not a JSON object")
    wrong = [*_wrong_in_message(message)]
    if not wrong:
        wrong = [problem for alert in message["alerts"] for problem in _wrong_in_alert(alert)]
    if wrong:
        raise MessageError("; ".join(wrong))
    return message


def problems(message: Mapping[str, Any]) -> list[str]:
    """What is well-formed and yet wrong."""
    found = template_errors(message)
    if message["status"] != status(alerts(message)):
        found.append(f"status {message['status']!r} is not that of its alerts")
    if message["truncatedAlerts"]:
        found.append(f"{message['truncatedAlerts']} alerts are left out")
    return found


def alerts(message: Mapping[str, Any]) -> tuple[Alert, ...]:
    """The alerts of a message."""
    return tuple(Alert(alert["status"], alert["labels"]) for alert in message["alerts"])


def status(shown: tuple[Alert, ...]) -> Status:
    """The status of a notification: firing while one of its alerts is."""
    return "firing" if any(alert.status == "firing" for alert in shown) else "resolved"


def _wrong_in_message(message: Mapping[str, Any]) -> Iterator[str]:
    if message.get("version") != "4":
        yield f"version is {message.get('version')!r}, not '4'"
    if message.get("status") not in _STATUSES:
        yield f"status is {message.get('status')!r}"
    if not isinstance(message.get("truncatedAlerts"), int):
        yield "truncatedAlerts is no number"
    yield from (f"{name} is no text" for name in _TEXTS if not isinstance(message.get(name), str))
    yield from (f"{name} is no object of texts" for name in _OBJECTS if not _is_texts(message.get(name)))
    if not isinstance(message.get("alerts"), list) or not message["alerts"]:
        yield "alerts is no list with an alert"


def _wrong_in_alert(alert: Any) -> Iterator[str]:
    if not isinstance(alert, dict):
        yield "an alert is no object"
        return
    if alert.get("status") not in _STATUSES:
        yield f"an alert's status is {alert.get('status')!r}"
    if not _is_texts(alert.get("labels")) or not alert["labels"].get("alertname"):
        yield "an alert has no labels, or none that is its name"
    if not _is_texts(alert.get("annotations")):
        yield "an alert has no annotations"
    if not isinstance(alert.get("fingerprint"), str):
        yield "an alert has no fingerprint"
    if alert.get("generatorURL") and not is_address(alert["generatorURL"]):
        yield f"generatorURL {alert['generatorURL']!r} is no address"
    yield from _wrong_times(alert)


def _wrong_times(alert: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{name} is no time" for name in ("startsAt", "endsAt") if not _is_time(alert.get(name)))
    if alert.get("status") == "firing" and alert.get("endsAt") != _NEVER:
        yield "an alert that fires has an end"


def _is_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_time(text: object) -> bool:
    # Go writes nanoseconds, of which Python before 3.11 takes none.
    whole, _, _ = str(text).rstrip("Z").partition(".")
    try:
        datetime.fromisoformat(whole)
    except ValueError:
        return False
    return True
