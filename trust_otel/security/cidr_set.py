"""Networks, many of them: whether an address lies in one, in about a microsecond and a few bytes a network."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from struct import Struct
from typing import Final

from trust_otel.setting_lists import Network

_RUN: Final = 2048
"""Networks sorted at a time: one sort of a million would hold the interpreter for a second."""

_BETWEEN_PAUSES: Final = 64

_MAPPED_BITS: Final = 96

_word = Struct("!I").unpack
_halves = Struct("!QQ").unpack


class NetworkSet:
    """Networks of IPv4 and IPv6, kept as the ranges of addresses that they cover together.

    8 bytes for a range of IPv4, 32 for one of IPv6. It never changes, so any thread may ask at any time.
    """

    __slots__ = ("_first_halves", "_first_words", "_last_halves", "_last_words")

    def __init__(self, words: Iterable[tuple[int, int]] = (), halves: Iterable[tuple[int, int]] = ()) -> None:
        """Take the first and last address of each range: sorted, apart from each other, IPv4 and IPv6."""
        self._first_words, self._last_words = array("I"), array("I")
        for first, last in words:
            self._first_words.append(first)
            self._last_words.append(last)
        self._first_halves, self._last_halves = (array("Q"), array("Q")), (array("Q"), array("Q"))
        for first, last in halves:
            for (high, low), number in ((self._first_halves, first), (self._last_halves, last)):
                high.append(number >> 64)
                low.append(number & 0xFFFFFFFFFFFFFFFF)

    @classmethod
    def of(cls, networks: Iterable[Network]) -> NetworkSet:
        """The set of some networks."""
        collector = NetworkCollector()
        for network in networks:
            collector.add(*unmapped(network.network_address.packed, network.prefixlen))
        return collector.collected()

    def __contains__(self, packed: bytes) -> bool:
        """Whether an address, as its 4 or 16 bytes, lies in one of the networks."""
        if len(packed) == 4:
            word: int = _word(packed)[0]
            index = bisect_right(self._first_words, word)
            return index > 0 and word <= self._last_words[index - 1]
        high: int
        low: int
        high, low = _halves(packed)
        highs, lows = self._first_halves
        index = bisect_right(highs, high)
        if index and highs[index - 1] == high:
            if index > 1 and highs[index - 2] == high:
                index = bisect_right(lows, low, bisect_left(highs, high, 0, index), index)
            elif lows[index - 1] > low:
                index -= 1
        if not index:
            return False
        highs, lows = self._last_halves
        last_high = highs[index - 1]
        return high < last_high or (high == last_high and low <= lows[index - 1])

    def __bool__(self) -> bool:
        return bool(self._first_words) or bool(self._first_halves[0])


class NetworkCollector:
    """Makes a `NetworkSet` of networks in any order, in steps that never hold the interpreter for long.

    Args:
        pause: Called again and again while the networks are put together.
    """

    def __init__(self, pause: Callable[[], None] = lambda: None) -> None:
        self._pause = pause
        self._runs = {4: _Runs(), 16: _Runs()}

    def add(self, packed: bytes, length: int) -> None:
        """Take a network in.

        Args:
            packed: 4 or 16 bytes; those past the prefix do not matter.
            length: Bits of the prefix.
        """
        self._runs[len(packed)].add(_without_host(packed, length) + bytes((length,)))

    def collected(self) -> NetworkSet:
        """The set of all that was taken in."""
        return NetworkSet(self._ranges(4), self._ranges(16))

    def _ranges(self, width: int) -> Iterator[tuple[int, int]]:
        first = last = -2
        for number, entry in enumerate(self._runs[width].sorted()):
            if not number % _BETWEEN_PAUSES:
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
    """Sorts entries of the same length: a run at a time, then all runs together."""

    def __init__(self) -> None:
        self._run: list[bytes] = []
        self._sorted: list[bytes] = []  # each run as one text, without the weight of its objects
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
    """A network of IPv4 that is written within IPv6 (RFC 4291, section 2.5.5.2) as what it is; others as they are."""
    if length >= _MAPPED_BITS and packed.startswith(MAPPED):
        return packed[12:], length - _MAPPED_BITS
    return packed, length


MAPPED: Final = bytes(10) + b"\xff\xff"
"""How an IPv4 address within IPv6 begins."""


def _without_host(packed: bytes, length: int) -> bytes:
    rest = len(packed) * 8 - length
    if rest == 0:
        return packed
    return (int.from_bytes(packed, "big") >> rest << rest).to_bytes(len(packed), "big")
