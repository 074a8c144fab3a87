"""Heavy hitters: the client addresses with the most failed logins, counted in bounded memory."""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Final

from trust_otel import forks
from trust_otel.semconv.attributes import CLIENT_ADDRESS

MAX_THRESHOLD: Final = 255
"""The largest threshold: a counter is one byte."""

_BUCKETS: Final = 2**19
"""13 bytes each. With 10 million addresses per hour, a bucket gets 26 failures of other addresses: half of the alert's
threshold."""

_MINUTE: Final = 60
_HOUR: Final = 3600
_MIN_IDLE_SECONDS: Final = 300


class HeavyHitters:
    """Counts failures by address, and exports each address with at least `threshold` failures within an hour.

    Guarantees, for any sequence of failures:

    - A count is never too high: it contains only failures of the address itself. If the first `threshold` failures took
      longer than a minute, the count starts with those of one minute at the same rate. Starting with all of them would
      look like a burst and fire an alert for an address that never failed fast.
    - An address with `2 * threshold - 1 + others` failures within an hour is exported or, at the capacity, rejected by
      `add`. `others` are the failures in that hour of addresses that are not exported and share its bucket: on average
      the failures of all of them, divided by the number of buckets. Clients cannot choose their bucket, because Python
      hashes strings with a random key per process (unless PYTHONHASHSEED is set).
    - All failures of an exported address are counted. It is exported until it has been idle for an hour. At the
      capacity, a new address replaces the one that has been idle longest, if that one has been idle for more than 5
      minutes and for longer than the new one took to reach the threshold.

    Args:
        threshold: Failures within an hour from which on an address is exported, 1 to `MAX_THRESHOLD`.
        capacity: Maximum number of exported addresses.
        buckets: Number of counters for addresses that are not exported.
        clock: Returns monotonic seconds.
    """

    def __init__(
        self, *, threshold: int, capacity: int, buckets: int = _BUCKETS, clock: Callable[[], float] = monotonic
    ) -> None:
        self._threshold = threshold
        self._capacity = capacity
        self._bucket_count = buckets
        self._clock = clock
        # Reentrant: garbage collection during `add` may run a finalizer that records a failure.
        self._lock = forks.released_in_child(threading.RLock())
        self._restart()
        forks.in_child(forks.Step.STATE, self._restart)

    def _restart(self) -> None:
        """Count from 0, also in a forked process: its parent exports the failures before the fork."""
        self._exported: OrderedDict[str, _HeavyHitter] = OrderedDict()  # ordered by last failure, oldest first
        self._buckets: _Buckets | None = None

    def add(self, address: str) -> bool:
        """Count a failure.

        Returns:
            Whether it was counted; `False` if the address reached the threshold, but the capacity is exhausted.
        """
        with self._lock:
            now = self._clock()
            hitter = self._exported.get(address)
            if hitter is None or now - hitter.last > _HOUR:
                return self._add_to_bucket(address, now)
            hitter.failures += 1
            hitter.last = now
            self._exported.move_to_end(address)
            return True

    def rows(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        """The number of failures and the labels of each exported address."""
        with self._lock:
            self._remove_expired(self._clock())
            return [(hitter.failures, {CLIENT_ADDRESS.name: address}) for address, hitter in self._exported.items()]

    def _add_to_bucket(self, address: str, now: float) -> bool:
        if self._buckets is None:
            self._buckets = _Buckets(self._bucket_count)  # allocated late: most processes never see a failure
        seconds = self._buckets.add(address, int(now), self._threshold)
        if seconds is None:
            return True
        self._remove_expired(now)
        if len(self._exported) >= self._capacity:
            longest_idle = next(iter(self._exported.values()))
            if now - longest_idle.last <= max(_MIN_IDLE_SECONDS, seconds):
                return False
            self._exported.popitem(last=False)
        self._exported[address] = _HeavyHitter(max(1, self._threshold * _MINUTE // max(_MINUTE, seconds)), now)
        return True

    def _remove_expired(self, now: float) -> None:
        while self._exported and now - next(iter(self._exported.values())).last > _HOUR:
            self._exported.popitem(last=False)


class _HeavyHitter:
    """An exported address: its failures, and the time of the last one."""

    __slots__ = ("failures", "last")

    def __init__(self, failures: int, last: float) -> None:
        self.failures = failures
        self.last = last


class _Buckets:
    """Counts failures by hash of the address, without storing addresses.

    A bucket counts one address at a time. A failure of another address decrements the counter, and at 0 the next
    address takes over the bucket (Misra and Gries, "Finding repeated elements", 1982, with one counter). A count is
    therefore never too high, and is too low by at most the number of failures of other addresses.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._owners = array("q", [0]) * number  # the full hash; addresses with equal hashes count as one
        self._since = array("i", [0]) * number
        self._failures = array("B", [0]) * number

    def add(self, address: str, now: int, threshold: int) -> int | None:
        """Count a failure.

        Returns:
            `None` below the threshold. At the threshold the seconds since the first failure; the counter is reset.
        """
        owner = hash(address)
        bucket = owner % self._number
        failures = self._failures[bucket]
        if failures == 0 or now - self._since[bucket] >= _HOUR:
            self._owners[bucket] = owner
            self._since[bucket] = now
            failures = 1
        elif self._owners[bucket] == owner:
            failures += 1
        else:
            self._failures[bucket] = failures - 1
            return None
        reached = failures >= threshold
        self._failures[bucket] = 0 if reached else failures
        return now - self._since[bucket] if reached else None
