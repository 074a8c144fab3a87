"""State per client or account over a sliding time window, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

CAPACITY: Final = 2**14
"""Maximum number of entries that are created or used in one bucket. Two buckets are kept."""


class Entry(Protocol):
    """The state of a client or account."""

    def rotate(self) -> None:
        """Start a new bucket: the current one becomes the previous one, and the previous one is dropped."""


_Entry = TypeVar("_Entry", bound=Entry)


class SlidingWindow(Generic[_Entry]):
    """Entries by key. An entry is dropped if it is not used during a whole bucket.

    A bucket ends after `seconds`, or earlier if it has `CAPACITY` entries: with many clients the window gets shorter
    and memory stays bounded. Entries that are used often are kept.

    Args:
        make: Creates an entry.
        seconds: Length of a bucket.
    """

    def __init__(self, make: Callable[[], _Entry], *, seconds: float) -> None:
        self._make = make
        self._seconds = seconds
        self._started_at = 0.0
        self._current: dict[int, _Entry] = {}
        self._previous: dict[int, _Entry] = {}

    def get(self, key: int, now: float) -> _Entry:
        """The entry of a key, rotated if a new bucket has started. Creates a missing entry."""
        age = now - self._started_at
        if age >= self._seconds or len(self._current) >= CAPACITY:
            self._previous = self._current if age < 2 * self._seconds else {}
            self._current = {}
            self._started_at = now - age % self._seconds if age >= self._seconds else now
        entry = self._current.get(key)
        if entry is None:
            entry = self._previous.pop(key, None)
            if entry is None:
                entry = self._make()
            else:
                entry.rotate()
            self._current[key] = entry
        return entry
