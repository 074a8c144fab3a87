"""PagerDuty's Events API v2: validation and responses.

Source: PagerDuty, "Events API v2", "Send an event", and its OpenAPI description.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from testbed.drill.receivers.validation import is_address, template_errors

ROUTING_KEY_LENGTH = 32
_LONGEST_DEDUP_KEY = 255
_LONGEST_SUMMARY = 1024
_LARGEST_EVENT = 512 * 1024
_ACTIONS = ("trigger", "acknowledge", "resolve")
_SEVERITIES = ("critical", "error", "warning", "info")


class EventError(Exception):
    """PagerDuty would reject the event. `errors` are the errors in its response."""

    def __init__(self, message: str, errors: list[str]) -> None:
        super().__init__(f"{message}: {'; '.join(errors)}")
        self.message = message
        self.errors = errors


def parse(body: bytes) -> Mapping[str, Any]:
    """Parse the event of a request. Raises EventError."""
    if len(body) > _LARGEST_EVENT:
        raise EventError("Event object is invalid", [f"larger than {_LARGEST_EVENT} bytes"])
    try:
        event = json.loads(body)
    except ValueError:
        raise EventError("Event object format is unrecognized", ["JSON parse error"]) from None
    if not isinstance(event, dict):
        raise EventError("Event object format is unrecognized", ["not a JSON object"])
    errors = [*_errors_of_event(event), *_errors_of_payload(event), *_errors_of_links(event)]
    if errors:
        raise EventError("Event object is invalid", errors)
    return event


def problems(event: Mapping[str, Any]) -> list[str]:
    """Problems of an event that PagerDuty accepts."""
    found = template_errors(event)
    if not event.get("dedup_key"):
        found.append("no dedup_key: later events cannot refer to this one")
    if "client_url" in event and not is_address(event["client_url"]):
        found.append(f"client_url {event['client_url']!r} is not an address")
    return found


def _errors_of_event(event: Mapping[str, Any]) -> Iterator[str]:
    routing_key = event.get("routing_key")
    if not isinstance(routing_key, str) or len(routing_key) != ROUTING_KEY_LENGTH:
        yield f"Length of 'routing_key' is incorrect (should be {ROUTING_KEY_LENGTH} characters)"
    if event.get("event_action") not in _ACTIONS:
        yield f"'event_action' must be one of {', '.join(_ACTIONS)}"
    dedup_key = event.get("dedup_key", "")
    if not isinstance(dedup_key, str) or len(dedup_key) > _LONGEST_DEDUP_KEY:
        yield f"'dedup_key' must be a text of at most {_LONGEST_DEDUP_KEY} characters"
    if not dedup_key and event.get("event_action") != "trigger":
        yield "'dedup_key' is missing or blank"


def _errors_of_payload(event: Mapping[str, Any]) -> Iterator[str]:
    payload = event.get("payload")
    # Only trigger events need a payload.
    if payload is None and event.get("event_action") != "trigger":
        return
    if not isinstance(payload, dict):
        yield "'payload' is missing or not an object"
        return
    for name in ("summary", "source"):
        if not isinstance(payload.get(name), str) or not payload[name].strip():
            yield f"'payload.{name}' is missing or blank"
    if len(str(payload.get("summary", ""))) > _LONGEST_SUMMARY:
        yield f"'payload.summary' has more than {_LONGEST_SUMMARY} characters"
    if payload.get("severity") not in _SEVERITIES:
        yield f"'payload.severity' must be one of {', '.join(_SEVERITIES)}"
    yield from _errors_of_optional_parts(payload)


def _errors_of_optional_parts(payload: Mapping[str, Any]) -> Iterator[str]:
    for name in ("component", "group", "class"):
        if not isinstance(payload.get(name, ""), str):
            yield f"'payload.{name}' is not a text"
    if not isinstance(payload.get("custom_details", {}), dict):
        yield "'payload.custom_details' is not an object"
    if "timestamp" in payload and not _is_time(payload["timestamp"]):
        yield "'payload.timestamp' is not an ISO 8601 time"


def _errors_of_links(event: Mapping[str, Any]) -> Iterator[str]:
    for link in event.get("links") or ():
        if not isinstance(link, dict) or not is_address(link.get("href")):
            yield f"'links' has an entry whose href is not an address: {link!r}"
    for image in event.get("images") or ():
        if not isinstance(image, dict) or not str(image.get("src", "")).startswith("https://"):
            yield f"'images' has an entry whose src is not an https address: {image!r}"


def _is_time(text: object) -> bool:
    try:
        datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return False
    return True
