"""The addresses whose logins fail most, in bounded memory."""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Final

from trust_otel.semconv.attributes import CLIENT_ADDRESS

MOST_FAILURES: Final = 255
"""The largest threshold: what one byte of a cell holds."""

_CELLS: Final = 2**19
"""13 bytes each. At 10 million addresses an hour, 26 failures of others fall into one: half of what an alert seeks."""

_MINUTE: Final = 60
_HOUR: Final = 3600
_SETTLED: Final = 300


class Offenders:
    """Counts failures by address, and shows each address that fails `threshold` times within an hour.

    What holds, whatever the clients do:

    - No number is too high: only failures of the address itself count, and it had `threshold` of them. When they took
      more than a minute, it begins with those of a minute at the same pace: all at once they would look like a burst,
      and alert on an address that never failed fast.
    - An address that fails `2 * threshold - 1 + others` times within an hour is shown or, where there is no room,
      refused by `add`. `others` are the failures in that hour of addresses not shown whose hash falls into the same
      one of the `cells`: on average the failures of all of them, divided by `cells`. A client cannot choose its cell,
      because Python keys the hash of a text anew in each process (unless PYTHONHASHSEED is set).
    - An address that stays shown loses no failure. It stays until it has been quiet for an hour. When `capacity`
      addresses are shown, the one that has been quiet longest gives way to a new one, once it has been quiet for 5
      minutes and for longer than the new one took for its failures.

    Args:
        threshold: Failures within an hour from which on an address is shown, 1 to `MOST_FAILURES`.
        capacity: Most addresses shown.
        cells: Counters of those who are not shown.
        clock: Seconds that only ever grow.
    """

    def __init__(
        self, *, threshold: int, capacity: int, cells: int = _CELLS, clock: Callable[[], float] = monotonic
    ) -> None:
        self._threshold = threshold
        self._capacity = capacity
        self._number = cells
        self._clock = clock
        # Reentrant: a garbage collection may run a finalizer, which may record, in the middle of an `add`.
        self._lock = threading.RLock()
        self._shown: OrderedDict[str, _Offender] = OrderedDict()  # the one that has been quiet longest comes first
        self._cells: _Cells | None = None

    def add(self, address: str) -> bool:
        """Count a failure.

        Returns:
            Whether it was counted; it is not when it would show its address and there is no room for one more.
        """
        with self._lock:
            now = self._clock()
            offender = self._shown.get(address)
            if offender is None or now - offender.last > _HOUR:
                return self._watch(address, now)
            offender.failures += 1
            offender.last = now
            self._shown.move_to_end(address)
            return True

    def rows(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        """The failures of each offender, those forgotten left out."""
        with self._lock:
            self._forget(self._clock())
            return [(offender.failures, {CLIENT_ADDRESS.name: address}) for address, offender in self._shown.items()]

    def _watch(self, address: str, now: float) -> bool:
        if self._cells is None:
            self._cells = _Cells(self._number)  # not before the first failure: most processes never see one
        seconds = self._cells.add(address, int(now), self._threshold)
        if seconds is None:
            return True
        self._forget(now)
        if len(self._shown) >= self._capacity:
            quietest = next(iter(self._shown.values()))
            if now - quietest.last <= max(_SETTLED, seconds):
                return False
            self._shown.popitem(last=False)
        self._shown[address] = _Offender(max(1, self._threshold * _MINUTE // max(_MINUTE, seconds)), now)
        return True

    def _forget(self, now: float) -> None:
        while self._shown and now - next(iter(self._shown.values())).last > _HOUR:
            self._shown.popitem(last=False)


class _Offender:
    """An address that is shown."""

    __slots__ = ("failures", "last")

    def __init__(self, failures: int, last: float) -> None:
        self.failures = failures
        self.last = last


class _Cells:
    """Counts the failures of addresses without keeping them, each in the cell of its hash.

    A cell belongs to one address at a time. A failure of another takes one off, and whoever comes when none is left
    takes the cell (Misra and Gries, "Finding repeated elements", 1982, with one counter): the count is never too high,
    and too low by no more than the failures of the others.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._owners = array("q", [0]) * number  # whole hashes: two addresses with the same would be taken for one
        self._since = array("i", [0]) * number
        self._failures = array("B", [0]) * number

    def add(self, address: str, now: int, threshold: int) -> int | None:
        """Count a failure.

        Returns:
            `None` below the threshold; at it, the seconds since the first of these failures, and all of them are
            forgotten.
        """
        owner = hash(address)
        cell = owner % self._number
        failures = self._failures[cell]
        if failures == 0 or now - self._since[cell] >= _HOUR:
            self._owners[cell] = owner
            self._since[cell] = now
            failures = 1
        elif self._owners[cell] == owner:
            failures += 1
        else:
            self._failures[cell] = failures - 1
            return None
        reached = failures >= threshold
        self._failures[cell] = 0 if reached else failures
        return now - self._since[cell] if reached else None
