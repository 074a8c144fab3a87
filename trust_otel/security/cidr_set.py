"""A compact set of IP networks: a lookup takes about a microsecond, a network takes a few bytes."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from struct import Struct
from typing import Final

from trust_otel.setting_lists import Network

_RUN: Final = 2048
"""Networks sorted at a time. Sorting a million at once would hold the GIL for a second."""

_PAUSE_EVERY: Final = 64
"""Networks between two pauses."""

_MAPPED_BITS: Final = 96

_Range = tuple[int, int]

_word = Struct("!I").unpack
_halves = Struct("!QQ").unpack


class CidrSet:
    """An immutable set of IPv4 and IPv6 networks, stored as merged address ranges.

    A range takes 8 bytes for IPv4 and 32 for IPv6. Safe to read from any thread.
    """

    __slots__ = ("_ipv4_first", "_ipv4_last", "_ipv6_first", "_ipv6_last")

    def __init__(self, ipv4_ranges: Iterable[_Range] = (), ipv6_ranges: Iterable[_Range] = ()) -> None:
        """Create the set from ranges.

        Args:
            ipv4_ranges: First and last address of each range, sorted and not adjacent.
            ipv6_ranges: The same for IPv6.
        """
        self._ipv4_first, self._ipv4_last = array("I"), array("I")
        for first, last in ipv4_ranges:
            self._ipv4_first.append(first)
            self._ipv4_last.append(last)
        self._ipv6_first, self._ipv6_last = (array("Q"), array("Q")), (array("Q"), array("Q"))
        for first, last in ipv6_ranges:
            for (high, low), number in ((self._ipv6_first, first), (self._ipv6_last, last)):
                high.append(number >> 64)
                low.append(number & 0xFFFFFFFFFFFFFFFF)

    @classmethod
    def of(cls, networks: Iterable[Network]) -> CidrSet:
        """The set of the given networks."""
        builder = CidrSetBuilder()
        for network in networks:
            builder.add(*unmapped(network.network_address.packed, network.prefixlen))
        return builder.build()

    def __contains__(self, packed: bytes) -> bool:
        """Whether an address, given as 4 or 16 bytes, is in one of the networks."""
        if len(packed) == 4:
            word: int = _word(packed)[0]
            index = bisect_right(self._ipv4_first, word)
            return index > 0 and word <= self._ipv4_last[index - 1]
        high: int
        low: int
        high, low = _halves(packed)
        highs, lows = self._ipv6_first
        index = bisect_right(highs, high)
        if index and highs[index - 1] == high:
            if index > 1 and highs[index - 2] == high:
                index = bisect_right(lows, low, bisect_left(highs, high, 0, index), index)
            elif lows[index - 1] > low:
                index -= 1
        if not index:
            return False
        highs, lows = self._ipv6_last
        last_high = highs[index - 1]
        return high < last_high or (high == last_high and low <= lows[index - 1])

    def __bool__(self) -> bool:
        return bool(self._ipv4_first) or bool(self._ipv6_first[0])


class CidrSetBuilder:
    """Builds a `CidrSet` from networks in any order, in short steps that do not hold the GIL for long.

    Args:
        pause: Called between the steps.
    """

    def __init__(self, pause: Callable[[], None] = lambda: None) -> None:
        self._pause = pause
        self._runs = {4: _Runs(), 16: _Runs()}

    def add(self, packed: bytes, length: int) -> None:
        """Add a network.

        Args:
            packed: The address as 4 or 16 bytes; host bits are ignored.
            length: Prefix length in bits.
        """
        self._runs[len(packed)].add(_network_address(packed, length) + bytes((length,)))

    def build(self) -> CidrSet:
        """The set of all added networks."""
        return CidrSet(self._ranges(4), self._ranges(16))

    def _ranges(self, width: int) -> Iterator[_Range]:
        first = last = -2
        for number, entry in enumerate(self._runs[width].sorted()):
            if not number % _PAUSE_EVERY:
                self._pause()
            begin = int.from_bytes(entry[:width], "big")
            end = begin | ((1 << (width * 8 - entry[width])) - 1)
            if begin <= last + 1:
                last = max(last, end)
            else:
                if last >= 0:
                    yield first, last
                first, last = begin, end
        if last >= 0:
            yield first, last


class _Runs:
    """Merge sort of entries of equal length: sorts runs, then merges them lazily."""

    def __init__(self) -> None:
        self._run: list[bytes] = []
        self._sorted: list[bytes] = []  # each run as one bytes object, to save memory
        self._width = 0

    def add(self, entry: bytes) -> None:
        self._run.append(entry)
        if len(self._run) == _RUN:
            self._close_run()

    def sorted(self) -> Iterable[bytes]:
        if self._run:
            self._close_run()
        return merge(*(self._entries(run) for run in self._sorted))

    def _close_run(self) -> None:
        self._width = len(self._run[0])
        self._run.sort()
        self._sorted.append(b"".join(self._run))
        self._run = []

    def _entries(self, run: bytes) -> Iterator[bytes]:
        return (run[at : at + self._width] for at in range(0, len(run), self._width))


def unmapped(packed: bytes, length: int) -> tuple[bytes, int]:
    """The IPv4 network for an IPv4-mapped IPv6 network (RFC 4291, section 2.5.5.2); other networks unchanged."""
    if length >= _MAPPED_BITS and packed.startswith(MAPPED):
        return packed[12:], length - _MAPPED_BITS
    return packed, length


MAPPED: Final = bytes(10) + b"\xff\xff"
"""Prefix of IPv4-mapped IPv6 addresses."""


def _network_address(packed: bytes, length: int) -> bytes:
    rest = len(packed) * 8 - length
    if rest == 0:
        return packed
    return (int.from_bytes(packed, "big") >> rest << rest).to_bytes(len(packed), "big")
