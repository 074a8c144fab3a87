"""Alertmanager's webhooks, version 4.

Source: Alertmanager, configuration, `webhook_config`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from testbed.drill.receivers.record import Alert, Status
from testbed.drill.receivers.validation import is_address, template_errors

_TEXTS = ("groupKey", "receiver", "externalURL")
_OBJECTS = ("groupLabels", "commonLabels", "commonAnnotations")
_STATUSES: tuple[Status, ...] = ("firing", "resolved")
# Go's zero time: `endsAt` of a firing alert.
_NEVER = "0001-01-01T00:00:00Z"


class MessageError(Exception):
    """The body is not a version 4 message."""


def parse(body: bytes) -> Mapping[str, Any]:
    """Parse the message of a request. Raises MessageError."""
    try:
        message = json.loads(body)
    except ValueError as error:
        raise MessageError(f"not JSON: {error}") from None
    if not isinstance(message, dict):
        raise MessageError("not a JSON object")
    wrong = [*_wrong_in_message(message)]
    if not wrong:
        wrong = [problem for alert in message["alerts"] for problem in _wrong_in_alert(alert)]
    if wrong:
        raise MessageError("; ".join(wrong))
    return message


def problems(message: Mapping[str, Any]) -> list[str]:
    """Problems of a well-formed message."""
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
    """The status of a notification: firing if one of its alerts is."""
    return "firing" if any(alert.status == "firing" for alert in shown) else "resolved"


def _wrong_in_message(message: Mapping[str, Any]) -> Iterator[str]:
    if message.get("version") != "4":
        yield f"version is {message.get('version')!r}, not '4'"
    if message.get("status") not in _STATUSES:
        yield f"status is {message.get('status')!r}"
    if not isinstance(message.get("truncatedAlerts"), int):
        yield "truncatedAlerts is not a number"
    yield from (f"{name} is not a text" for name in _TEXTS if not isinstance(message.get(name), str))
    yield from (f"{name} is not an object of strings" for name in _OBJECTS if not _is_texts(message.get(name)))
    if not isinstance(message.get("alerts"), list) or not message["alerts"]:
        yield "alerts is not a list with an alert"


def _wrong_in_alert(alert: Any) -> Iterator[str]:
    if not isinstance(alert, dict):
        yield "an alert is not an object"
        return
    if alert.get("status") not in _STATUSES:
        yield f"an alert's status is {alert.get('status')!r}"
    if not _is_texts(alert.get("labels")) or not alert["labels"].get("alertname"):
        yield "an alert has no labels, or no alertname"
    if not _is_texts(alert.get("annotations")):
        yield "an alert has no annotations"
    if not isinstance(alert.get("fingerprint"), str):
        yield "an alert has no fingerprint"
    if alert.get("generatorURL") and not is_address(alert["generatorURL"]):
        yield f"generatorURL {alert['generatorURL']!r} is not an address"
    yield from _wrong_times(alert)


def _wrong_times(alert: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{name} is not a time" for name in ("startsAt", "endsAt") if not _is_time(alert.get(name)))
    if alert.get("status") == "firing" and alert.get("endsAt") != _NEVER:
        yield "a firing alert has an end"


def _is_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_time(text: object) -> bool:
    # Go writes nanoseconds, which Python before 3.11 cannot parse.
    whole, _, _ = str(text).rstrip("Z").partition(".")
    try:
        datetime.fromisoformat(whole)
    except ValueError:
        return False
    return True
