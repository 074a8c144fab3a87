"""Parses and validates Alertmanager's webhook notifications (version 4)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from trust_ops.incidents.times import parse_time

VERSION = "4"

_FINGERPRINT_LENGTH = 64
_SHOWN = 60
_EARLIEST = datetime(1970, 1, 1, tzinfo=timezone.utc)


class PayloadError(ValueError):
    """An invalid notification; the message says where and why."""


@dataclass(frozen=True)
class Alert:
    """One alert of a notification.

    Attributes:
        fingerprint: Alertmanager's hash of the labels.
        firing: Whether it is firing; otherwise it is resolved.
        labels: Its labels.
        annotations: Its annotations.
        starts_at: When it started to fire.
        ends_at: When it ended; `None` while it fires or when unknown.
        generator_url: The rule's expression in Prometheus.
    """

    fingerprint: str
    firing: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None = None
    generator_url: str = ""


@dataclass(frozen=True)
class Notification:
    """One notification.

    Attributes:
        receiver: Name of Alertmanager's receiver.
        alertmanager_url: External URL of that Alertmanager.
        alerts: The alerts of the group.
        truncated: Number of alerts that Alertmanager omitted.
    """

    receiver: str
    alertmanager_url: str
    alerts: tuple[Alert, ...]
    truncated: int = 0


def parse(body: bytes) -> Notification:
    """Parse the body of a webhook request. Unused fields are not validated.

    Raises:
        PayloadError: It is not a valid notification.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"the body is not JSON: {error}") from error
    payload = _object(content, "the body")
    version = payload.get("version")
    if version != VERSION:
        raise PayloadError(f'version: {_shown(version)} is not "{VERSION}", the version that is supported')
    alerts = payload.get("alerts")
    if not isinstance(alerts, list):
        raise PayloadError(f"alerts: {_shown(alerts)} is not a list")
    truncated = payload.get("truncatedAlerts", 0)
    if not isinstance(truncated, int):
        raise PayloadError(f"truncatedAlerts: {_shown(truncated)} is not a number")
    return Notification(
        receiver=_text(payload, "receiver", ""),
        alertmanager_url=_text(payload, "externalURL", ""),
        alerts=tuple(_alert(alert, f"alerts[{index}]") for index, alert in enumerate(alerts)),
        truncated=truncated,
    )


def _alert(content: object, where: str) -> Alert:
    alert = _object(content, where)
    status = alert.get("status")
    if status not in ("firing", "resolved"):
        raise PayloadError(f"{where}.status: {_shown(status)} is neither firing nor resolved")
    fingerprint = _text(alert, "fingerprint", f"{where}.")
    if not 0 < len(fingerprint) <= _FINGERPRINT_LENGTH:
        raise PayloadError(f"{where}.fingerprint: must have 1 to {_FINGERPRINT_LENGTH} characters")
    labels = _texts(alert, "labels", where)
    if not labels:
        raise PayloadError(f"{where}.labels: must not be empty")
    starts_at = _time(alert, "startsAt", where)
    if starts_at is None:
        raise PayloadError(f"{where}.startsAt: missing")
    return Alert(
        fingerprint=fingerprint,
        firing=status == "firing",
        labels=labels,
        annotations=_texts(alert, "annotations", where),
        starts_at=starts_at,
        ends_at=_time(alert, "endsAt", where) if status == "resolved" else None,
        generator_url=_text(alert, "generatorURL", f"{where}."),
    )


def _object(content: object, where: str) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise PayloadError(f"{where}: {_shown(content)} is not an object")
    return content


def _text(content: Mapping[str, Any], name: str, where: str) -> str:
    value = content.get(name, "")
    if not isinstance(value, str):
        raise PayloadError(f"{where}{name}: {_shown(value)} is not a string")
    return storable(value)


def _texts(content: Mapping[str, Any], name: str, where: str) -> dict[str, str]:
    values = content.get(name)
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise PayloadError(f"{where}.{name}: {_shown(values)} is not an object of strings")
    return {storable(key): storable(value) for key, value in values.items()}


def _time(content: Mapping[str, Any], name: str, where: str) -> datetime | None:
    text = _text(content, name, f"{where}.")
    if not text:
        return None
    try:
        moment = parse_time(text)
    except ValueError as error:
        raise PayloadError(f"{where}.{name}: {error}") from error
    # Go's zero time means "unknown".
    return moment if moment >= _EARLIEST else None


def storable(text: str) -> str:
    """The text without lone surrogates and NUL, which databases reject."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _shown(value: object) -> str:
    # Shortened: it is untrusted, and goes into a response and the log.
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
