"""What is remembered for a while, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

CAPACITY: Final = 2**14
"""Most entries that are new or used in one slice; twice as many are kept."""


class Entry(Protocol):
    """What is remembered about a client or an account."""

    def begin_slice(self) -> None:
        """What was of this slice of time is of the one before, and what was of that one is forgotten."""


_Entry = TypeVar("_Entry", bound=Entry)


class Recent(Generic[_Entry]):
    """Entries by key, kept as long as they are used in each slice of time or the next.

    A slice ends after `seconds`, or sooner when it holds `CAPACITY` entries: many clients at once make the memory
    shorter, never larger, and what is used often stays.

    Args:
        make: Makes an entry.
        seconds: Length of a slice.
    """

    def __init__(self, make: Callable[[], _Entry], *, seconds: float) -> None:
        self._make = make
        self._seconds = seconds
        self._begun = 0.0
        self._entries: dict[int, _Entry] = {}
        self._before: dict[int, _Entry] = {}

    def get(self, key: int, now: float) -> _Entry:
        """The entry of a key, brought up to this time; a new one when there is none."""
        age = now - self._begun
        if age >= self._seconds or len(self._entries) >= CAPACITY:
            self._before = self._entries if age < 2 * self._seconds else {}
            self._entries = {}
            self._begun = now - age % self._seconds if age >= self._seconds else now
        entry = self._entries.get(key)
        if entry is None:
            entry = self._before.pop(key, None)
            if entry is None:
                entry = self._make()
            else:
                entry.begin_slice()
            self._entries[key] = entry
        return entry
