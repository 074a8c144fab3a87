"""PagerDuty's incidents: what people do with them, and the webhooks (version 3) that report it.

Source: PagerDuty, "Webhooks Overview", "Webhook Behavior" and "Verifying Signatures". As for services that create
alerts and incidents, `incident_key` is null, and `client` is only present in the first event.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from queue import Queue
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any

import httpx

_SITE, _API = "https://trust.pagerduty.com", "https://api.pagerduty.com"
_TIMEOUT_SECONDS = 5.0
_ATTEMPTS = 5
# PagerDuty's increase to about 20 minutes in total.
_RETRY_SECONDS = 0.5


@dataclass
class Incident:
    """An incident in PagerDuty.

    Attributes:
        id: PagerDuty's id.
        number: Its number.
        channel: The channel with the routing key that it was sent to.
        dedup_key: The key of the alert.
        title: The summary of the first event.
        client: Name and address of the sender.
        status: `triggered`, `acknowledged` or `resolved`.
    """

    id: str
    number: int
    channel: str
    dedup_key: str
    title: str
    client: Mapping[str, str]
    status: str = "triggered"
    created_at: str = field(default_factory=lambda: _now()[:-5] + "Z")


@dataclass(frozen=True)
class WebhookDelivery:
    """A webhook and the last response to it; status None if there was none."""

    event_type: str
    incident_id: str
    body: bytes
    headers: Mapping[str, str]
    status: int | None
    attempts: int


@dataclass(frozen=True)
class _Webhook:
    event_type: str
    incident_id: str
    body: bytes
    url: str
    secrets: tuple[str, ...]


class PagerDutyIncidents:
    """All incidents, with the webhook subscription of the account; a context manager."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._incidents: list[Incident] = []
        self._subscription: tuple[str, tuple[str, ...]] | None = None
        self._queue: Queue[_Webhook | None] = Queue()
        self._ended = Event()
        self._thread = Thread(target=self._deliver_all, name="pagerduty-webhooks", daemon=True)
        self.deliveries: list[WebhookDelivery] = []

    def __enter__(self) -> PagerDutyIncidents:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._queue.put(None)
        self._thread.join()

    def subscribe(self, url: str, *signing_secrets: str) -> None:
        """Send a webhook for each event of an incident; several secrets as during rotation."""
        self._subscription = (url, signing_secrets)

    def open(self, channel: str) -> list[Incident]:
        """The incidents of a channel that are not resolved."""
        with self._lock:
            return [each for each in self._incidents if each.channel == channel and each.status != "resolved"]

    def receive(self, channel: str, event: Mapping[str, Any]) -> None:
        """Apply an event of the Events API."""
        key = event.get("dedup_key", "")
        agent = _reference("inbound_integration_reference", "Events API V2")
        known = next((each for each in self.open(channel) if each.dedup_key == key), None)
        if event["event_action"] == "resolve" and known is not None:
            self._change(known, "resolved", "incident.resolved", agent)
        elif event["event_action"] == "trigger" and known is None:
            with self._lock:
                number = len(self._incidents) + 1
                client = {"name": event.get("client", ""), "url": event.get("client_url", "")}
                made = Incident(_id("Q"), number, channel, key, event["payload"]["summary"], client)
                self._incidents.append(made)
            self._send(made, "incident.triggered", agent, client)

    def acknowledge(self, incident: Incident, person: str) -> None:
        """A person acknowledges an incident."""
        self._change(incident, "acknowledged", "incident.acknowledged", _reference("user_reference", person))

    def unacknowledge(self, incident: Incident, person: str | None = None) -> None:
        """A person, or the acknowledgement timeout, makes an incident triggered again."""
        agent = None if person is None else _reference("user_reference", person)
        self._change(incident, "triggered", "incident.unacknowledged", agent)

    def resolve(self, incident: Incident, person: str) -> None:
        """A person resolves an incident."""
        self._change(incident, "resolved", "incident.resolved", _reference("user_reference", person))

    def ping(self) -> None:
        """Send the test event."""
        data = {"message": "Hello from your friend Pagey!", "type": "ping"}
        self._enqueue("pagey.ping", "", _event("pagey.ping", "pagey", None, None, data))

    def _change(self, incident: Incident, status: str, event_type: str, agent: Mapping[str, Any] | None) -> None:
        with self._lock:
            incident.status = status
        self._send(incident, event_type, agent, None)

    def _send(
        self,
        incident: Incident,
        event_type: str,
        agent: Mapping[str, Any] | None,
        client: Mapping[str, str] | None,
    ) -> None:
        data = {
            "id": incident.id,
            "type": "incident",
            "self": f"{_API}/incidents/{incident.id}",
            "html_url": f"{_SITE}/incidents/{incident.id}",
            "number": incident.number,
            "status": incident.status,
            "incident_key": None,
            "created_at": incident.created_at,
            "title": incident.title,
            "service": _reference("service_reference", incident.channel),
            "assignees": [],
            "escalation_policy": _reference("escalation_policy_reference", "Default"),
            "teams": [],
            "priority": None,
            "urgency": "high",
            "conference_bridge": None,
            "resolve_reason": None,
            "incident_type": {"name": "incident_default"},
        }
        self._enqueue(event_type, incident.id, _event(event_type, "incident", agent, client, data))

    def _enqueue(self, event_type: str, incident_id: str, body: bytes) -> None:
        if self._subscription is not None:
            self._queue.put(_Webhook(event_type, incident_id, body, *self._subscription))

    def _deliver_all(self) -> None:
        # In order: a webhook that is retried delays all later ones.
        with httpx.Client(trust_env=False, timeout=_TIMEOUT_SECONDS) as client:
            while (queued := self._queue.get()) is not None and not self._ended.is_set():
                self.deliveries.append(self._deliver(client, queued))

    def _deliver(self, client: httpx.Client, webhook: _Webhook) -> WebhookDelivery:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "PagerDuty-Webhook/V3.0",
            "X-Webhook-Id": secrets.token_hex(16),
            "X-PagerDuty-Signature": ",".join(f"v1={_signature(secret, webhook.body)}" for secret in webhook.secrets),
        }
        status, attempts = None, 0
        for attempts in range(1, _ATTEMPTS + 1):
            try:
                status = client.post(webhook.url, content=webhook.body, headers=headers).status_code
            except httpx.TransportError:
                status = None
            # Other errors of the client are permanent.
            if status is not None and status < 500 and status != httpx.codes.TOO_MANY_REQUESTS:
                break
            if self._ended.wait(_RETRY_SECONDS * 2 ** (attempts - 1)):
                break
        return WebhookDelivery(webhook.event_type, webhook.incident_id, webhook.body, headers, status, attempts)


def _event(
    event_type: str,
    resource_type: str,
    agent: Mapping[str, Any] | None,
    client: Mapping[str, str] | None,
    data: Mapping[str, Any],
) -> bytes:
    event = {
        "id": _id("01"),
        "event_type": event_type,
        "resource_type": resource_type,
        "occurred_at": _now(),
        "agent": agent,
        "client": client,
        "data": data,
    }
    return json.dumps({"event": event}, separators=(",", ":"), ensure_ascii=False).encode()


def _reference(kind: str, summary: str) -> dict[str, str]:
    name, folder = _id("P"), kind.removesuffix("_reference").rpartition("_")[2] + "s"
    return {
        "html_url": f"{_SITE}/{folder}/{name}",
        "id": name,
        "self": f"{_API}/{folder}/{name}",
        "summary": summary,
        "type": kind,
    }


def _signature(secret: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), body, "sha256").hex()


def _id(prefix: str) -> str:
    return prefix + secrets.token_hex(6).upper()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
