"""PagerDuty's webhooks (version 3): signatures and events.

Source: PagerDuty, "Webhooks Overview", "Webhook Behavior" and "Verifying Signatures".

An event names PagerDuty's incident, not the alert behind it: `incident_key`, which could be Alertmanager's `dedup_key`,
is null for incidents that are made from alerts. Only `incident.triggered` says where the incident is from: its `client`
is that of the Events API, so `client_url` leads to the alerts of the page.
"""

from __future__ import annotations

import ast
import hmac
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from pydantic import StringConstraints, TypeAdapter

from trust_ops.incidents.tokens import SecretFile
from trust_ops.incidents.validation import STORABLE, Text, Time, from_json, storable

_logger = logging.getLogger(__name__)

SIGNATURE_HEADER = "X-PagerDuty-Signature"

TRIGGERED, ACKNOWLEDGED, RESOLVED = "incident.triggered", "incident.acknowledged", "incident.resolved"
WITHDRAWN = ("incident.unacknowledged", "incident.reopened")
REASSIGNED = ("incident.delegated", "incident.escalated", "incident.reassigned")
"""With these, an acknowledged incident may become triggered again."""

_EVENT_TYPES = frozenset({TRIGGERED, ACKNOWLEDGED, RESOLVED, *WITHDRAWN, *REASSIGNED})

# As in the API.
_LONGEST_NAME = 100

# A value as the Go format %q writes it.
_MATCHER = re.compile(
    r'([^\s{},=~!"]+)=("(?:[^"\\\n]|\\(?:[abfnrtv\\"]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}))*")(?:,|$)'
)


class SigningSecrets(SecretFile):
    """The signing secrets of the webhook subscriptions, one per line of a file.

    Args:
        path: The file.

    Raises:
        TokenFileError: It cannot be read, or a secret in it is too short.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "signing secret", "copy that of the webhook subscription from PagerDuty into it")

    def signed(self, body: bytes, header: str) -> bool:
        """Whether one of the secrets signed a body; compares in constant time.

        Args:
            body: The unchanged body.
            header: The value of `X-PagerDuty-Signature`, with one signature per secret of the subscription.
        """
        given = signatures(header)
        expected = [hmac.digest(secret.encode(), body, "sha256").hex().encode() for secret in self.current()]
        # Compare all of them, so that the time does not reveal which one matched.
        valid = sum(hmac.compare_digest(one, other) for one in given for other in expected) > 0
        if not valid:
            _logger.warning("trust-otel: a webhook of PagerDuty was rejected: %s is missing or wrong", SIGNATURE_HEADER)
        return valid


def signatures(header: str) -> list[bytes]:
    """The signatures of version 1 in the header."""
    parts = (part.strip() for part in header.split(","))
    return [part[3:].encode(errors="replace") for part in parts if part.startswith("v1=")]


@dataclass(frozen=True)
class _Agent:
    type: Text = ""
    summary: Text | None = None


@dataclass(frozen=True)
class _Client:
    url: Text | None = None


@dataclass(frozen=True)
class _Incident:
    id: Annotated[str, StringConstraints(max_length=64), STORABLE] = ""
    status: Text = ""


@dataclass(frozen=True)
class Event:
    """An event of a webhook. Unused fields are not validated.

    Attributes:
        event_type: What happened, such as `incident.acknowledged`.
        occurred_at: When, by PagerDuty's clock.
        data: PagerDuty's incident.
        agent: Who caused it.
        client: Where the incident is from, if it is new.
    """

    event_type: Text
    occurred_at: Time
    data: _Incident
    agent: _Agent | None = None
    client: _Client | None = None

    @property
    def person(self) -> str | None:
        """The name of the person who caused it; `None` for an integration or a timeout."""
        if self.agent is None or self.agent.type != "user_reference":
            return None
        return (self.agent.summary or "")[:_LONGEST_NAME] or None

    @property
    def matchers(self) -> Mapping[str, str]:
        """The labels of the alerts that the incident is about; empty if it is not from our Alertmanager."""
        return page_matchers(self.client.url or "") if self.client is not None else {}


@dataclass(frozen=True)
class _Payload:
    event: Event


@dataclass(frozen=True)
class _AnyEvent:
    event_type: Text


@dataclass(frozen=True)
class _AnyPayload:
    event: _AnyEvent


_PAYLOAD, _ANY_PAYLOAD = TypeAdapter(_Payload), TypeAdapter(_AnyPayload)


def parse_event(body: bytes) -> Event | None:
    """Parse the body of a webhook; `None` if the event does not matter here. Raises InvalidError."""
    # PagerDuty adds types of events, with other data, over time.
    if from_json(_ANY_PAYLOAD, body).event.event_type not in _EVENT_TYPES:
        return None
    return from_json(_PAYLOAD, body).event


def page_matchers(url: str) -> dict[str, str]:
    """The matchers in `trust.link.page`, a link to Alertmanager's list of alerts; empty for any other URL."""
    try:
        path, _, query = urlsplit(url).fragment.partition("?")
        (shown,) = parse_qs(query)["filter"]
        return _matchers(shown) if path == "/alerts" else {}
    # An escape that is no character is a syntax error.
    except (ValueError, KeyError, SyntaxError):
        return {}


def _matchers(text: str) -> dict[str, str]:
    """Parse `{name="value",...}`. Raises ValueError on any other matcher: without it there would be more alerts."""
    if not (text.startswith("{") and text.endswith("}")):
        raise ValueError("no braces")
    inner, end, found = text[1:-1], 0, {}
    while end < len(inner):
        matcher = _MATCHER.match(inner, end)
        if matcher is None:
            raise ValueError("not a matcher for equality")
        found[matcher[1]] = storable(str(ast.literal_eval(matcher[2])))
        end = matcher.end()
    return found
