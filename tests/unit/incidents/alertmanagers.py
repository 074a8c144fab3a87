"""A fake Alertmanager, for responses that the real one in tests/integration cannot be made to give."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.unit.incidents.notifications import NIGHT
from trust_ops.incidents.times import format_time


@dataclass
class Answers:
    """Its responses, and the requests it received.

    Attributes:
        alerts: Answer to GET /alerts.
        silences: Answer to GET /silences.
        status: Status of every answer.
        away: Whether it is unreachable.
        away_after: The number of requests after which it is unreachable.
        asked: Method and path of each request, in order.
        posted: Bodies of the requests for silences.
    """

    alerts: Any = field(default_factory=list)
    silences: Any = field(default_factory=list)
    status: int = 200
    away: bool = False
    away_after: int | None = None
    asked: list[str] = field(default_factory=list)
    posted: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away_after is not None:
            self.away = self.away_after == 0
            self.away_after = max(0, self.away_after - 1)
        if self.away:
            raise httpx.ConnectError("connection refused", request=request)
        self.asked.append(f"{request.method} {request.url.path}")
        if self.status != 200:
            return httpx.Response(self.status, text="it says why")
        if request.method == "POST":
            self.posted.append(json.loads(request.content))
            return httpx.Response(200, json={"silenceID": f"s{len(self.posted)}"})
        if request.method == "DELETE":
            return httpx.Response(200)
        return httpx.Response(200, json=self.alerts if request.url.path.endswith("/alerts") else self.silences)


def api_alert(fingerprint: str = "a1", *silenced_by: str, starts_at: str = format_time(NIGHT)) -> dict[str, Any]:
    """An alert as in the response to GET /api/v2/alerts."""
    return {
        "fingerprint": fingerprint,
        "labels": {"alertname": "TrustServiceDown"},
        "annotations": {},
        "startsAt": starts_at,
        "endsAt": "2026-11-25T04:00:00Z",
        "updatedAt": "2026-11-25T03:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "receivers": [{"name": "incidents"}],
        "status": {"state": "active", "silencedBy": list(silenced_by), "inhibitedBy": [], "mutedBy": []},
    }


def api_silence(name: str = "s1", state: str = "active") -> dict[str, Any]:
    """A silence as in the response to GET /api/v2/silences."""
    return {
        "id": name,
        "createdBy": "ann",
        "comment": "I look at it",
        "startsAt": "2026-11-25T03:01:00.000Z",
        "endsAt": "2026-11-25T05:00:00.000Z",
        "updatedAt": "2026-11-25T03:01:00.000Z",
        "matchers": [],
        "status": {"state": state},
    }
