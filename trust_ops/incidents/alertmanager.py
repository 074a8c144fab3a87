"""Client for Alertmanager's API (v2): active alerts and silences."""

from __future__ import annotations

import ssl
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
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
_ANY_LEVEL = ".+"


ESCALATION_LEVEL = "escalation_level"
"""The label that an alert has in addition when it is sent to a level of the escalation."""


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
        silences: The active silences that match it, or its escalation.
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

    def silence(
        self,
        labels: Mapping[str, str],
        person: str,
        comment: str,
        now: datetime,
        until: datetime,
        *,
        levels_except: Collection[str] | None = None,
    ) -> str:
        """Silence an alert with all levels of its escalation; returns the id of the silence.

        Args:
            labels: All labels of the alert.
            person: Who creates the silence.
            comment: A comment.
            now: Its start.
            until: Its end.
            levels_except: Silence only the escalation, except these levels.

        Raises:
            AlertmanagerError: No member created it.
        """
        matchers = [_matcher(name, value) for name, value in sorted(labels.items())]
        if levels_except is not None:
            matchers.append(_matcher(ESCALATION_LEVEL, _ANY_LEVEL, regex=True))
            matchers += [_matcher(ESCALATION_LEVEL, level, equal=False) for level in sorted(levels_except)]
        body = {
            "matchers": matchers,
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


def _matcher(name: str, value: str, *, regex: bool = False, equal: bool = True) -> dict[str, Any]:
    return {"name": name, "value": value, "isRegex": regex, "isEqual": equal}


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
    silences: _Silences = _read(_ask(client, "GET", "/silences"), _silences)
    found: list[ActiveAlert] = _read(alerts, lambda content: [_seen(alert, silences) for alert in content])
    return found


@dataclass(frozen=True)
class _Silences:
    """The active silences by id, and those of escalations by the labels of the alert."""

    by_id: Mapping[str, Silence]
    of_escalations: Mapping[frozenset[tuple[str, str]], Sequence[Silence]]


def _silences(content: Sequence[Mapping[str, Any]]) -> _Silences:
    by_id: dict[str, Silence] = {}
    of_escalations: defaultdict[frozenset[tuple[str, str]], list[Silence]] = defaultdict(list)
    for silence in content:
        if silence["status"]["state"] == "active":
            by_id[silence["id"]] = read = _SILENCE.validate_python(silence)
            if (labels := _escalated_labels(silence["matchers"])) is not None:
                of_escalations[labels].append(read)
    return _Silences(by_id, of_escalations)


def _escalated_labels(matchers: Sequence[Mapping[str, Any]]) -> frozenset[tuple[str, str]] | None:
    """The labels of the alert whose escalation is silenced, if the silence is one of `Alertmanager.silence`."""
    if _matcher(ESCALATION_LEVEL, _ANY_LEVEL, regex=True) not in matchers:
        return None
    labels = {matcher["name"]: matcher["value"] for matcher in matchers if matcher["name"] != ESCALATION_LEVEL}
    exact = [_matcher(name, value) in matchers for name, value in labels.items()]
    return frozenset(labels.items()) if all(exact) else None


def _seen(content: Mapping[str, Any], silences: _Silences) -> ActiveAlert:
    status, alert = content["status"], _ALERT.validate_python({**content, "status": "firing"})
    found = {name: silences.by_id[name] for name in status["silencedBy"] if name in silences.by_id}
    found |= {silence.id: silence for silence in silences.of_escalations.get(frozenset(alert.labels.items()), ())}
    return ActiveAlert(alert, tuple(found.values()), bool(status["inhibitedBy"]))


def _both(one: ActiveAlert | None, other: ActiveAlert) -> ActiveAlert:
    if one is None:
        return other
    # Members of a cluster may briefly differ in silences, and for longer in when an alert started.
    earliest = min(one, other, key=lambda seen: seen.alert.starts_at)
    silences = {silence.id: silence for silence in (*one.silences, *other.silences)}
    return replace(earliest, silences=tuple(silences.values()))
