"""Alertmanager's API (version 2): which alerts it has, who has silenced them, and new silences."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import httpx

from trust_ops.incidents.payload import Alert, storable
from trust_ops.incidents.times import format_time, parse_time
from trust_otel.shown import address_of
from trust_otel.urls import parts_of

_SECONDS = 5.0


class AlertmanagerError(RuntimeError):
    """Alertmanager did not do what it was asked; the message says which one and why."""


class AlertmanagerUrlError(ValueError):
    """An address that cannot be Alertmanager's."""


@dataclass(frozen=True)
class Silence:
    """A silence that is in force.

    Attributes:
        id: Its name in Alertmanager.
        created_by: Who made it.
        comment: Why.
        starts_at: Since when.
        ends_at: Until when.
    """

    id: str
    created_by: str
    comment: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Seen:
    """An alert that Alertmanager has.

    Attributes:
        alert: The alert; it has not ended.
        silences: The silences that keep it quiet.
        inhibited: Whether another alert keeps it quiet.
    """

    alert: Alert
    silences: tuple[Silence, ...] = ()
    inhibited: bool = False


View = Mapping[str, Seen]
"""Every alert that has not ended, by its fingerprint."""


class Alertmanager:
    """One Alertmanager, or the members of one cluster.

    Silences are passed on within a cluster, alerts are not: what any member has, is there.

    Args:
        urls: Addresses, with the path under which the API lies and with user and password, if any.
        transport: Replaces the network.

    Raises:
        AlertmanagerUrlError: One of them is none.
    """

    def __init__(self, urls: Sequence[str], transport: httpx.BaseTransport | None = None) -> None:
        for url in urls:
            _check(url)
        self._clients = [
            httpx.Client(
                base_url=f"{url.rstrip('/')}/api/v2",
                timeout=_SECONDS,
                transport=transport,
                # Own services are reached directly, not through the proxy of the environment.
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
        """Silence what has exactly these values in these labels; the silence's id. Raises AlertmanagerError."""
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
        """End a silence; one that is not there has ended already. Raises AlertmanagerError."""
        self._first("DELETE", f"/silence/{silence_id}", fine=(httpx.codes.NOT_FOUND,))

    def view(self) -> View:
        """What the members that answer have. Raises AlertmanagerError when none does."""
        seen: dict[str, Seen] = {}
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

    def _first(self, method: str, path: str, fine: Sequence[int] = (), **more: Any) -> httpx.Response:
        """The answer of the first member that answers well."""
        failures = []
        for client in self._clients:
            try:
                return _ask(client, method, path, fine, **more)
            except AlertmanagerError as error:
                failures.append(str(error))
        raise AlertmanagerError("; ".join(failures))


def _check(url: str) -> None:
    if parts_of(url, ("http", "https")) is None:
        raise AlertmanagerUrlError("write each as an address such as http://alertmanager:9093")


def _ask(client: httpx.Client, method: str, path: str, fine: Sequence[int] = (), **more: Any) -> httpx.Response:
    where = address_of(str(client.base_url))
    try:
        answer = client.request(method, path, **more)
    except httpx.HTTPError as error:
        raise AlertmanagerError(
            f"Alertmanager at {where} cannot be reached: {error or type(error).__name__}"
        ) from error
    if answer.is_success or answer.status_code in fine:
        return answer
    raise AlertmanagerError(f"Alertmanager at {where} answers {answer.status_code}: {answer.text[:200].strip()}")


def _read(answer: httpx.Response, reader: Callable[[Any], Any]) -> Any:
    try:
        return reader(answer.json())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        where = address_of(str(answer.url))
        raise AlertmanagerError(f"{where} does not answer as Alertmanager's API (version 2) does") from error


def _view_of(client: httpx.Client) -> list[Seen]:
    # In this order: a silence that an alert names is then among the silences.
    alerts = _ask(client, "GET", "/alerts")
    silences: dict[str, Silence] = _read(_ask(client, "GET", "/silences"), _silences)
    found: list[Seen] = _read(alerts, lambda content: [_seen(alert, silences) for alert in content])
    return found


def _silences(content: Sequence[Mapping[str, Any]]) -> dict[str, Silence]:
    return {
        silence["id"]: Silence(
            silence["id"],
            storable(silence["createdBy"]),
            storable(silence["comment"]),
            parse_time(silence["startsAt"]),
            parse_time(silence["endsAt"]),
        )
        for silence in content
        if silence["status"]["state"] == "active"
    }


def _seen(content: Mapping[str, Any], silences: Mapping[str, Silence]) -> Seen:
    alert = Alert(
        fingerprint=content["fingerprint"],
        firing=True,
        labels=_texts(content["labels"]),
        annotations=_texts(content["annotations"]),
        starts_at=parse_time(content["startsAt"]),
        generator_url=storable(content.get("generatorURL", "")),
    )
    status = content["status"]
    return Seen(
        alert,
        tuple(silences[name] for name in status["silencedBy"] if name in silences),
        bool(status["inhibitedBy"]),
    )


def _texts(content: Mapping[str, str]) -> dict[str, str]:
    return {storable(name): storable(value) for name, value in content.items()}


def _both(one: Seen | None, other: Seen) -> Seen:
    if one is None:
        return other
    # The members of a cluster may differ for a moment in the silences, and for longer in when an alert began.
    earliest = min(one, other, key=lambda seen: seen.alert.starts_at)
    silences = {silence.id: silence for silence in (*one.silences, *other.silences)}
    return replace(earliest, silences=tuple(silences.values()))
