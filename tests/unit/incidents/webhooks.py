"""PagerDuty's webhooks, in the form of its documentation."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tests.unit.incidents.notifications import NIGHT
from trust_ops.incidents.times import format_time

SECRET = "signing-secret-of-the-subscription"
LINK = (
    "https://alertmanager.trust.test/#/alerts?filter=%7Balertname%3D%22TrustServiceDown%22%2C"
    "deployment_environment_name%3D%22%22%2Cservice%3D%22issuer%22%2Cservice_namespace%3D%22%22%2C"
    "severity%3D%22critical%22%7D"
)
"""`trust.link.page` of the alert that `notifications.alert` makes."""

INTEGRATION = {"id": "PXMQRWJ", "summary": "Events API V2", "type": "inbound_integration_reference"}


def user(name: str) -> dict[str, str]:
    return {"id": "PLH1HKV", "summary": name, "type": "user_reference"}


def webhook(
    event_type: str,
    at: datetime = NIGHT,
    *,
    page: str = "Q1",
    agent: Mapping[str, str] | None = None,
    client_url: str | None = None,
    status: str = "",
) -> bytes:
    """A webhook about an incident of PagerDuty."""
    statuses = {"incident.acknowledged": "acknowledged", "incident.resolved": "resolved"}
    event: dict[str, Any] = {
        "id": "01BWDWL3NYY7LUFPZCC28QUCMK",
        "event_type": event_type,
        "resource_type": "incident",
        "occurred_at": format_time(at),
        "agent": agent,
        "client": None if client_url is None else {"name": "trust-otel", "url": client_url},
        "data": {
            "id": page,
            "type": "incident",
            "html_url": f"https://trust.pagerduty.com/incidents/{page}",
            "number": 2,
            "status": status or statuses.get(event_type, "triggered"),
            "incident_key": None,
            "title": "A little bump in the road",
            "service": {"id": "PF9KMXH", "summary": "platform", "type": "service_reference"},
            "priority": None,
            "resolve_reason": None,
        },
    }
    return json.dumps({"event": event}).encode()


def triggered(at: datetime = NIGHT, *, page: str = "Q1", client_url: str = LINK) -> bytes:
    return webhook("incident.triggered", at, page=page, agent=INTEGRATION, client_url=client_url)


PING = json.dumps(
    {
        "event": {
            "id": "01CH754SM17TWPE2V2H4VPBRO7",
            "event_type": "pagey.ping",
            "resource_type": "pagey",
            "occurred_at": format_time(NIGHT),
            "agent": None,
            "client": None,
            "data": {"message": "Hello from your friend Pagey!", "type": "ping"},
        }
    }
).encode()


def signature(body: bytes, *secrets: str) -> str:
    """The value of `X-PagerDuty-Signature`."""
    return ",".join(f"v1={hmac.digest(secret.encode(), body, 'sha256').hex()}" for secret in secrets or (SECRET,))
