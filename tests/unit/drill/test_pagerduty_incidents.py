"""PagerDuty's incidents and webhooks in the stand-in."""

from __future__ import annotations

import hmac
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

from testbed.drill.receivers.pagerduty_incidents import PagerDutyIncidents
from tests.support.running import eventually
from trust_ops.stack.ports import LOOPBACK

CHANNEL = "pagerduty:security"


class Subscriber:
    """Receives webhooks, and responds with the given statuses."""

    def __init__(self, *statuses: int) -> None:
        remaining = list(statuses)
        self.received = received = list[tuple[str, str, bytes]]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append((self.headers["X-Webhook-Id"], self.headers["X-PagerDuty-Signature"], body))
                self.send_response(remaining.pop(0))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer((LOOPBACK, 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://{LOOPBACK}:{self._server.server_port}/pagerduty"

    def __enter__(self) -> Subscriber:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def event(action: str = "trigger", **more: str) -> dict[str, Any]:
    """An event of the Events API."""
    client = {"client": "trust-otel", "client_url": "https://alertmanager.trust.test"}
    return {"event_action": action, "dedup_key": "5f3c", **client, "payload": {"summary": "It is down."}, **more}


def test_what_people_do_is_sent_as_signed_webhooks_in_order() -> None:
    with Subscriber(503, 202, 400, 202) as subscriber, PagerDutyIncidents() as pagerduty:
        pagerduty.subscribe(subscriber.url, "a-secret", "another")
        pagerduty.receive(CHANNEL, event())
        (incident,) = pagerduty.open(CHANNEL)
        pagerduty.acknowledge(incident, "ann")
        pagerduty.unacknowledge(incident)
        eventually(lambda: len(pagerduty.deliveries), 3)
    # Only an error of the server is retried, and delays what follows.
    assert [(each.event_type, each.status, each.attempts) for each in pagerduty.deliveries] == [
        ("incident.triggered", 202, 2),
        ("incident.acknowledged", 400, 1),
        ("incident.unacknowledged", 202, 1),
    ]
    names = [name for name, _, _ in subscriber.received]
    assert (names[0], len(set(names))) == (names[1], 3)
    for _, signed, body in subscriber.received:
        expected = [hmac.digest(secret, body, "sha256").hex() for secret in (b"a-secret", b"another")]
        assert signed == ",".join(f"v1={each}" for each in expected)
    events = [json.loads(body)["event"] for _, _, body in subscriber.received[1:]]
    client = {"name": "trust-otel", "url": "https://alertmanager.trust.test"}
    assert [each["client"] for each in events] == [client, None, None]
    assert [each["agent"] and each["agent"]["summary"] for each in events] == ["Events API V2", "ann", None]
    assert [each["data"]["status"] for each in events] == ["triggered", "acknowledged", "triggered"]
    assert {(each["data"]["id"], each["data"]["incident_key"]) for each in events} == {(incident.id, None)}


def test_an_event_of_an_open_incident_opens_no_other_one() -> None:
    pagerduty = PagerDutyIncidents()
    pagerduty.receive(CHANNEL, event())
    (incident,) = pagerduty.open(CHANNEL)
    pagerduty.acknowledge(incident, "ann")
    pagerduty.receive(CHANNEL, event())
    assert pagerduty.open(CHANNEL) == [incident]
    assert incident.status == "acknowledged"
    pagerduty.receive(CHANNEL, event(dedup_key="7d1e"))
    pagerduty.receive("pagerduty:platform", event())
    pagerduty.receive(CHANNEL, event("resolve"))
    assert [each.dedup_key for each in pagerduty.open(CHANNEL)] == ["7d1e"]
    pagerduty.receive(CHANNEL, event())
    assert len(pagerduty.open(CHANNEL)) == 2
