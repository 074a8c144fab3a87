"""Makes a receiver fail, hang, and come back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Failure:
    """The status (HTTP or SMTP) that a failing receiver answers, and what it says of when to come again, in seconds."""

    status: int
    retry_after: int | None = None


class Outages:
    """Which channels are in trouble; set from any thread, obeyed in the servers' loop."""

    def __init__(self, channels: Iterable[str]) -> None:
        self._channels = frozenset(channels)
        self._failing: dict[str, Failure] = {}
        self._hanging: set[str] = set()

    def fail(self, channel: str, status: int, retry_after: int | None = None) -> None:
        """Let a channel answer with an error. Raises ValueError on a channel that is not there."""
        self._failing[self._known(channel)] = Failure(status, retry_after)

    def hang(self, channel: str) -> None:
        """Let a channel take what comes and not answer. Raises ValueError on a channel that is not there."""
        self._hanging.add(self._known(channel))

    def restore(self, channel: str) -> None:
        """Let a channel work again; what hangs is answered. Raises ValueError on a channel that is not there."""
        self._failing.pop(self._known(channel), None)
        self._hanging.discard(channel)

    def restore_all(self) -> None:
        """Let every channel work again."""
        self._failing.clear()
        self._hanging.clear()

    def failure(self, channel: str) -> Failure | None:
        """How the channel fails, if it does."""
        return self._failing.get(channel)

    async def pass_through(self, channel: str) -> Failure | None:
        """Wait as long as the channel hangs; how it fails then, if it does."""
        while channel in self._hanging:  # noqa: ASYNC110 - other threads end it
            await asyncio.sleep(_POLL_SECONDS)
        return self.failure(channel)

    def _known(self, channel: str) -> str:
        if channel not in self._channels:
            raise ValueError(f"there is no channel {channel!r}; there are {sorted(self._channels)}")
        return channel
