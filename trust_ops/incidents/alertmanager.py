"""Client for Alertmanager's API (v2): active alerts and silences."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

import httpx
from pydantic import Field, TypeAdapter

from trust_ops.incidents.payload import Alert
from trust_ops.incidents.times import format_time
from trust_ops.incidents.validation import Text, Time
from trust_otel.log_safe import url_origin
from trust_otel.urls import parse_url

_SECONDS = 5.0


class AlertmanagerError(RuntimeError):
    """A request to Alertmanager failed; the message names the instance and the reason."""


class AlertmanagerUrlError(ValueError):
    """An invalid Alertmanager URL."""


@dataclass(frozen=True)
class Silence:
    """An active silence.

    Attributes:
        id: Its id in Alertmanager.
        created_by: Who created it.
        comment: Its comment.
        starts_at: Its start.
        ends_at: Its end.
    """

    id: str
    created_by: Annotated[Text, Field(validation_alias="createdBy")]
    comment: Text
    starts_at: Annotated[Time, Field(validation_alias="startsAt")]
    ends_at: Annotated[Time, Field(validation_alias="endsAt")]


@dataclass(frozen=True)
class ActiveAlert:
    """An alert that is active in Alertmanager.

    Attributes:
        alert: The alert.
        silences: The active silences that match it.
        inhibited: Whether another alert inhibits it.
    """

    alert: Alert
    silences: tuple[Silence, ...] = ()
    inhibited: bool = False


_ALERT, _SILENCE = TypeAdapter(Alert), TypeAdapter(Silence)

ActiveAlerts = Mapping[str, ActiveAlert]
"""The active alerts by fingerprint."""


class Alertmanager:
    """One Alertmanager, or the members of one cluster.

    A cluster replicates silences but not alerts, so an alert is active if any member has it.

    Args:
        urls: Base URLs, including path prefix and credentials, if any.
        transport: Replaces the network.

    Raises:
        AlertmanagerUrlError: One of them is invalid.
    """

    def __init__(self, urls: Sequence[str], transport: httpx.BaseTransport | None = None) -> None:
        for url in urls:
            _check(url)
        self._clients = [
            httpx.Client(
                base_url=f"{url.rstrip('/')}/api/v2",
                timeout=_SECONDS,
                transport=transport,
                # Internal services are reached directly, not through a proxy from the environment.
                trust_env=False,
                verify=ssl.create_default_context(),
            )
            for url in urls
        ]

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            client.close()

    def silence(self, labels: Mapping[str, str], person: str, comment: str, now: datetime, until: datetime) -> str:
        """Silence alerts with exactly these labels; returns the id of the silence. Raises AlertmanagerError."""
        body = {
            "matchers": [
                {"name": name, "value": value, "isRegex": False, "isEqual": True}
                for name, value in sorted(labels.items())
            ],
            "startsAt": format_time(now),
            "endsAt": format_time(until),
            "createdBy": person,
            "comment": comment,
        }
        answer = self._first("POST", "/silences", json=body)
        return str(_read(answer, lambda content: content["silenceID"]))

    def expire(self, silence_id: str) -> None:
        """Expire a silence; one that does not exist has expired already. Raises AlertmanagerError."""
        self._first("DELETE", f"/silence/{silence_id}", accepted=(httpx.codes.NOT_FOUND,))

    def active_alerts(self) -> ActiveAlerts:
        """The active alerts of all members that respond. Raises AlertmanagerError when none does."""
        seen: dict[str, ActiveAlert] = {}
        failures: list[AlertmanagerError] = []
        for client in self._clients:
            try:
                for found in _view_of(client):
                    seen[found.alert.fingerprint] = _both(seen.get(found.alert.fingerprint), found)
            except AlertmanagerError as error:
                failures.append(error)
        if len(failures) == len(self._clients):
            raise AlertmanagerError("; ".join(map(str, failures)))
        return seen

    def _first(self, method: str, path: str, accepted: Sequence[int] = (), **more: Any) -> httpx.Response:
        """The response of the first member that accepts the request."""
        failures = []
        for client in self._clients:
            try:
                return _ask(client, method, path, accepted, **more)
            except AlertmanagerError as error:
                failures.append(str(error))
        raise AlertmanagerError("; ".join(failures))


def _check(url: str) -> None:
    if parse_url(url, ("http", "https")) is None:
        raise AlertmanagerUrlError("use URLs such as http://alertmanager:9093")


def _ask(client: httpx.Client, method: str, path: str, accepted: Sequence[int] = (), **more: Any) -> httpx.Response:
    where = url_origin(str(client.base_url))
    try:
        answer = client.request(method, path, **more)
    except httpx.HTTPError as error:
        raise AlertmanagerError(
            f"Alertmanager at {where} cannot be reached: {error or type(error).__name__}"
        ) from error
    if answer.is_success or answer.status_code in accepted:
        return answer
    raise AlertmanagerError(f"Alertmanager at {where} responded with {answer.status_code}: {answer.text[:200].strip()}")


def _read(answer: httpx.Response, reader: Callable[[Any], Any]) -> Any:
    try:
        return reader(answer.json())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        where = url_origin(str(answer.url))
        raise AlertmanagerError(f"the response of {where} is not that of Alertmanager's API v2") from error


def _view_of(client: httpx.Client) -> list[ActiveAlert]:
    # Alerts first: every silence that they refer to is then among the silences.
    alerts = _ask(client, "GET", "/alerts")
    silences: dict[str, Silence] = _read(_ask(client, "GET", "/silences"), _silences)
    found: list[ActiveAlert] = _read(alerts, lambda content: [_seen(alert, silences) for alert in content])
    return found


def _silences(content: Sequence[Mapping[str, Any]]) -> dict[str, Silence]:
    return {
        silence["id"]: _SILENCE.validate_python(silence)
        for silence in content
        if silence["status"]["state"] == "active"
    }


def _seen(content: Mapping[str, Any], silences: Mapping[str, Silence]) -> ActiveAlert:
    status = content["status"]
    return ActiveAlert(
        _ALERT.validate_python({**content, "status": "firing"}),
        tuple(silences[name] for name in status["silencedBy"] if name in silences),
        bool(status["inhibitedBy"]),
    )


def _both(one: ActiveAlert | None, other: ActiveAlert) -> ActiveAlert:
    if one is None:
        return other
    # Members of a cluster may briefly differ in silences, and for longer in when an alert started.
    earliest = min(one, other, key=lambda seen: seen.alert.starts_at)
    silences = {silence.id: silence for silence in (*one.silences, *other.silences)}
    return replace(earliest, silences=tuple(silences.values()))
