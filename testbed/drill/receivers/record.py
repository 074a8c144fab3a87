"""What the receivers have seen, safe to read from any thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Condition
from typing import Literal

Status = Literal["firing", "resolved"]


@dataclass(frozen=True)
class Alert:
    """An alert as a notification shows it.

    `labels` are all that the channel shows of them, the name of the alert (`alertname`) included.
    """

    status: Status
    labels: Mapping[str, str]

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels.get("alertname", "")


@dataclass(frozen=True)
class Delivery:
    """A notification that a receiver has taken: Alertmanager has been told so.

    `status` is that of the notification: firing while one of its alerts is. `at` is in Unix seconds, `monotonic` in
    seconds of the monotonic clock; `raw` is the body as it came.
    """

    channel: str
    status: Status
    alerts: tuple[Alert, ...]
    raw: bytes
    at: float = field(default_factory=time.time)
    monotonic: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Refusal:
    """A notification that a receiver has not taken, so that Alertmanager tries again or gives up.

    `answer` is the HTTP or SMTP status that was sent, None when the other side gave up waiting for one.
    """

    channel: str
    answer: int | None
    at: float = field(default_factory=time.time)
    monotonic: float = field(default_factory=time.monotonic)


class Record:
    """Deliveries, refusals and problems in the order they came."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._deliveries: list[Delivery] = []
        self._refusals: list[Refusal] = []
        self._problems: list[str] = []

    def deliveries(self) -> list[Delivery]:
        """What was taken."""
        with self._changed:
            return list(self._deliveries)

    def refusals(self) -> list[Refusal]:
        """What was not taken."""
        with self._changed:
            return list(self._refusals)

    def problems(self) -> list[str]:
        """What was malformed, or came to where nobody is, with the channel in front."""
        with self._changed:
            return list(self._problems)

    def wait_for(self, true: Callable[[], object], seconds: float) -> bool:
        """Wait until `true()`, which is asked again whenever something has come; whether it came true in time."""
        with self._changed:
            return bool(self._changed.wait_for(lambda: bool(true()), seconds))

    def deliver(self, delivery: Delivery) -> None:
        """Add what was taken."""
        with self._changed:
            self._deliveries.append(delivery)
            self._changed.notify_all()

    def refuse(self, refusal: Refusal) -> None:
        """Add what was not taken."""
        with self._changed:
            self._refusals.append(refusal)
            self._changed.notify_all()

    def complain(self, channel: str, problems: list[str]) -> None:
        """Add what was wrong with something that came."""
        with self._changed:
            self._problems += [f"{channel}: {problem}" for problem in problems]
            self._changed.notify_all()
