"""HTTP client of the incident receiver, for the commands."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any

import httpx
from pydantic import TypeAdapter

from trust_ops.incidents.incident import Event, Incident
from trust_ops.incidents.records import Record
from trust_ops.incidents.times import format_time, parse_time
from trust_otel.log_safe import url_origin

_SECONDS = 30.0
_INCIDENT, _INCIDENTS = TypeAdapter(Incident), TypeAdapter(list[Incident])
_TIMELINE, _RECORDS = TypeAdapter(list[Event]), TypeAdapter(list[Record])


class ClientError(RuntimeError):
    """A request to the receiver failed; the message is meant for the user."""


class Client:
    """A client of the incident receiver.

    Args:
        url: Its URL.
        token: An operator token.
        transport: Replaces the network.
    """

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        self._where = url_origin(url)
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_SECONDS,
            transport=transport,
            # Internal services are reached directly, not through a proxy from the environment.
            trust_env=False,
            verify=ssl.create_default_context(),
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def incidents(self, *, only_open: bool, limit: int) -> tuple[list[Incident], int]:
        """Incidents, and how many more there are. Every method raises ClientError."""
        parameters = {"open": str(only_open).lower(), "limit": str(limit)}
        answer = self._ask("GET", "/incidents", params=parameters)
        return _INCIDENTS.validate_python(answer["incidents"]), answer["more"]

    def incident(self, number: int) -> tuple[Incident, list[Event]]:
        """An incident and its timeline."""
        answer = self._ask("GET", f"/incidents/{number}")
        return _INCIDENT.validate_python(answer), _TIMELINE.validate_python(answer["timeline"])

    def acknowledge(self, number: int, person: str, comment: str, duration: str) -> datetime | None:
        """Acknowledge an incident; returns the end of the silence, `None` when the alert is not silenced."""
        body = {"by": person, "comment": comment, "for": duration}
        until = self._ask("POST", f"/incidents/{number}/acknowledge", json=body)["silenced_until"]
        return None if until is None else parse_time(until)

    def note(self, number: int, person: str, text: str) -> None:
        """Add a note to the timeline."""
        self._ask("POST", f"/incidents/{number}/notes", json={"by": person, "text": text})

    def records(self, start: datetime, end: datetime) -> list[Record]:
        """The incidents that were open at any time between `start` and `end`, for a review."""
        answer = self._ask("GET", "/records", params={"from": format_time(start), "until": format_time(end)})
        return _RECORDS.validate_python(answer["records"])

    def _ask(self, method: str, path: str, **more: Any) -> Mapping[str, Any]:
        try:
            answer = self._client.request(method, path, **more)
            content = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ClientError(f"no response from {self._where}: {_reason(error)}") from error
        except ValueError as error:
            raise ClientError(f"{self._where} is not an incident receiver: the response is not JSON") from error
        if not isinstance(content, dict):
            raise ClientError(f"{self._where} is not an incident receiver: the response is not a JSON object")
        if not answer.is_success:
            raise ClientError(str(content.get("error", f"{self._where} responded with {answer.status_code}")))
        return content


def _reason(error: Exception) -> str:
    # The text of other errors may contain the URL with credentials.
    return str(error) if isinstance(error, httpx.TransportError) and str(error) else type(error).__name__
