"""The notifications and problems of the receivers, thread-safe."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Condition
from typing import Literal

Status = Literal["firing", "resolved"]


@dataclass(frozen=True)
class Alert:
    """An alert in a notification.

    `labels` are all labels in the notification, including `alertname`.
    """

    status: Status
    labels: Mapping[str, str]

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels.get("alertname", "")


@dataclass(frozen=True)
class Delivery:
    """A notification that a receiver confirmed to Alertmanager.

    `status` is firing if one of its alerts is. `at` is in Unix seconds, `monotonic` in seconds of the monotonic clock;
    `raw` is the unchanged body.
    """

    channel: str
    status: Status
    alerts: tuple[Alert, ...]
    raw: bytes
    at: float = field(default_factory=time.time)
    monotonic: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Rejection:
    """A notification that a receiver did not confirm, so that Alertmanager retries or drops it.

    `status` is the HTTP or SMTP status of the response, None if the sender timed out.
    """

    channel: str
    status: int | None
    at: float = field(default_factory=time.time)
    monotonic: float = field(default_factory=time.monotonic)


class Record:
    """Deliveries, rejections and problems in order of arrival."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._deliveries: list[Delivery] = []
        self._rejections: list[Rejection] = []
        self._problems: list[str] = []

    def deliveries(self) -> list[Delivery]:
        """All accepted notifications."""
        with self._changed:
            return list(self._deliveries)

    def rejections(self) -> list[Rejection]:
        """All rejected notifications."""
        with self._changed:
            return list(self._rejections)

    def problems(self) -> list[str]:
        """All problems, prefixed with their channel."""
        with self._changed:
            return list(self._problems)

    def wait_for(self, condition: Callable[[], object], seconds: float) -> bool:
        """Wait until `condition()` is true, checked after each arrival; returns whether it was true in time."""
        with self._changed:
            return bool(self._changed.wait_for(lambda: bool(condition()), seconds))

    def deliver(self, delivery: Delivery) -> None:
        """Add an accepted notification."""
        with self._changed:
            self._deliveries.append(delivery)
            self._changed.notify_all()

    def reject(self, rejection: Rejection) -> None:
        """Add a rejected notification."""
        with self._changed:
            self._rejections.append(rejection)
            self._changed.notify_all()

    def add_problems(self, channel: str, problems: list[str]) -> None:
        """Add problems of a channel."""
        with self._changed:
            self._problems += [f"{channel}: {problem}" for problem in problems]
            self._changed.notify_all()
