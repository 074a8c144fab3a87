"""Alertmanager's webhook notifications (version 4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict, StringConstraints, TypeAdapter, ValidationInfo

from trust_ops.incidents.validation import STORABLE, Text, Time, from_json

_EARLIEST = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _start(moment: datetime) -> datetime:
    if moment < _EARLIEST:
        raise ValueError("missing")
    return moment


def _end(moment: datetime | None, info: ValidationInfo) -> datetime | None:
    # Go's zero time means "unknown".
    return None if info.data.get("status") == "firing" or moment is None or moment < _EARLIEST else moment


_Texts = Annotated[dict[Text, Text], BeforeValidator(lambda values: {} if values is None else values)]


@dataclass(frozen=True)
class Alert:
    """One alert of a notification.

    Attributes:
        fingerprint: Alertmanager's hash of the labels.
        labels: Its labels.
        starts_at: When it started to fire.
        annotations: Its annotations.
        ends_at: When it ended; `None` while it fires or when unknown.
        generator_url: The rule's expression in Prometheus.
    """

    status: Literal["firing", "resolved"]
    fingerprint: Annotated[str, StringConstraints(min_length=1, max_length=64), STORABLE]
    labels: Annotated[_Texts, Field(min_length=1)]
    starts_at: Annotated[Time, AfterValidator(_start), Field(validation_alias="startsAt")]
    annotations: _Texts = field(default_factory=dict)
    ends_at: Annotated[Time | None, AfterValidator(_end), Field(validation_alias="endsAt")] = None
    generator_url: Annotated[Text, Field(validation_alias="generatorURL")] = ""

    @property
    def firing(self) -> bool:
        """Whether it is firing; otherwise it is resolved."""
        return self.status == "firing"


@dataclass(frozen=True)
class Notification:
    """One notification. Unused fields are not validated.

    Attributes:
        alerts: The alerts of the group.
        receiver: Name of Alertmanager's receiver.
        alertmanager_url: External URL of that Alertmanager.
        truncated: Number of alerts that Alertmanager omitted.
    """

    version: Literal["4"]
    alerts: list[Alert]
    receiver: Text = ""
    alertmanager_url: Annotated[Text, Field(validation_alias="externalURL")] = ""
    truncated: Annotated[int, Strict(), Field(validation_alias="truncatedAlerts")] = 0


_NOTIFICATION = TypeAdapter(Notification)


def parse(body: bytes) -> Notification:
    """Parse the body of a webhook request. Raises InvalidError."""
    return from_json(_NOTIFICATION, body)
