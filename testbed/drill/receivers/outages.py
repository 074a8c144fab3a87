"""Outages of receivers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Failure:
    """The status (HTTP or SMTP) of a failing receiver, and its `Retry-After` in seconds."""

    status: int
    retry_after: int | None = None


class Outages:
    """The failing and hanging channels. Set from any thread, read in the servers' event loop."""

    def __init__(self, channels: Iterable[str]) -> None:
        self._channels = frozenset(channels)
        self._failing: dict[str, Failure] = {}
        self._hanging: set[str] = set()

    def fail(self, channel: str, status: int, retry_after: int | None = None) -> None:
        """Let a channel respond with an error. Raises ValueError on an unknown channel."""
        self._failing[self._known(channel)] = Failure(status, retry_after)

    def hang(self, channel: str) -> None:
        """Let a channel accept requests and not respond. Raises ValueError on an unknown channel."""
        self._hanging.add(self._known(channel))

    def restore(self, channel: str) -> None:
        """End a channel's outage; hanging requests get their response. Raises ValueError on an unknown channel."""
        self._failing.pop(self._known(channel), None)
        self._hanging.discard(channel)

    def restore_all(self) -> None:
        """End all outages."""
        self._failing.clear()
        self._hanging.clear()

    def failure(self, channel: str) -> Failure | None:
        """The channel's failure, if any."""
        return self._failing.get(channel)

    async def wait_while_hanging(self, channel: str) -> Failure | None:
        """Wait while the channel hangs; returns its failure afterwards, if any."""
        while channel in self._hanging:  # noqa: ASYNC110 - other threads end it
            await asyncio.sleep(_POLL_SECONDS)
        return self.failure(channel)

    def _known(self, channel: str) -> str:
        if channel not in self._channels:
            raise ValueError(f"there is no channel {channel!r}; there are {sorted(self._channels)}")
        return channel
