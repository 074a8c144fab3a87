"""One reputation feed: read in the background, at a pace that leaves the interpreter to the service."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from math import inf
from pathlib import Path
from time import perf_counter, sleep, time
from typing import BinaryIO, Final

from trust_otel.reloading_file import IncompleteFileError, ReloadingFile, open_file
from trust_otel.security.cidr_set import NetworkCollector, NetworkSet
from trust_otel.security.reputation.candidates import Candidate, in_json, in_text
from trust_otel.security.reputation.network_text import is_too_broad, parse_network
from trust_otel.security.reputation.stix import Validity

_logger = logging.getLogger(__name__)

MOST_NETWORKS: Final = 2_000_000
MOST_BYTES: Final = 128 * 2**20

_BAD_SHARE: Final = 4
"""A feed is broken when more than one entry of so many is none."""

_WRITTEN_SECONDS: Final = 10
"""For so long after its last change, a text without a line end at its end may be half-written."""

_VALIDITY_SECONDS: Final = 300
"""A feed is read again no more often than this because entries of it begin or cease to hold."""

_BETWEEN_PAUSES: Final = 32

_PACKED: Final = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd")
"""How gzip, zip, bzip2, xz and zstd begin."""


class Pace:
    """Rests for a millisecond after each millisecond of work.

    Otherwise a thread of the service would wait for Python's switch interval, 5 ms, each time it wakes up.

    Attributes:
        ended: Set it to end the work.
    """

    _SECONDS: Final = 0.001

    def __init__(self) -> None:
        self.ended = False
        self._began = 0.0

    def __call__(self) -> None:
        """Rest if it is time to.

        Raises:
            EndedError: The work is to end.
        """
        if self.ended:
            raise EndedError
        if perf_counter() - self._began > self._SECONDS:
            sleep(self._SECONDS)
            self._began = perf_counter()


class EndedError(Exception):
    """Nobody has any use for the work any more."""


@dataclass(frozen=True)
class Listing:
    """What a feed lists.

    Attributes:
        networks: All of it.
        entries: How many there were in the file; those that lie in others count too.
    """

    networks: NetworkSet
    entries: int


_NOTHING: Final = Listing(NetworkSet(), 0)


class Feed:
    """One feed.

    Args:
        name: Its name in the setting.
        path: Its file.
        pace: Called again and again while it is read.
    """

    def __init__(self, name: str, path: str, pace: Callable[[], None]) -> None:
        self.name = name
        self._pace = pace
        self._read_again_at = inf
        self._file = ReloadingFile(path, self._read, _NOTHING)

    @property
    def networks(self) -> NetworkSet:
        """What it lists."""
        return self._file.value.networks

    @property
    def entries(self) -> int:
        """How many entries are in use."""
        return self._file.value.entries

    def read_if_changed(self) -> str | None:
        """Read the file if it has changed, or if an entry has begun or ceased to hold; what is wrong with it."""
        now = time()
        lapsed = now >= self._read_again_at
        if lapsed:
            self._read_again_at = now + _VALIDITY_SECONDS
        try:
            self._file.read_if_changed(force=lapsed)
        except EndedError:
            return None
        except Exception as error:
            return str(error) if isinstance(error, ValueError) else f"it cannot be read ({type(error).__name__})"
        return None

    def close(self) -> None:
        """Let go of what it lists."""
        self._file.value = _NOTHING

    def _read(self, path: Path) -> Listing:
        with open_file(path, MOST_BYTES) as file:
            return self._parse(file)

    def _parse(self, file: BinaryIO) -> Listing:
        validity = Validity(time())
        unit, candidates = self._candidates(file, validity)
        reading = _Reading(unit, self._pace)
        listing = reading.listing(candidates)
        if self.entries and not listing.entries and not validity.lapsed:
            raise ValueError("the file lists nothing any more; to mean that, restart the service")
        if reading.bad:
            _logger.warning(
                "trust-otel: reputation %s: %d of %d entries are no addresses, the first in %s %d",
                self.name,
                reading.bad,
                reading.bad + listing.entries,
                unit,
                reading.first_bad,
            )
        self._read_again_at = max(validity.ends, time() + _VALIDITY_SECONDS)
        return listing

    def _candidates(self, file: BinaryIO, validity: Validity) -> tuple[str, Iterator[Candidate]]:
        """What the numbers of the candidates count, and the candidates."""
        beginning = file.read(512)
        if beginning.startswith(_PACKED):
            raise ValueError("the file is packed; unpack it first")
        if b"\0" in beginning:
            raise ValueError("the file is no text; save it as UTF-8")
        start = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        if start == b"<":
            raise ValueError("the file is HTML or XML, most likely an error page; look at what downloads it")
        if start not in (b"", b"{") and self.entries and _may_be_half_written(file):
            raise IncompleteFileError(
                "the last line has no end, so the file is still being written; it is read again soon"
            )
        file.seek(0)
        text = TextIOWrapper(file, encoding="utf-8-sig", errors="replace")
        return ("object", in_json(text.read(), validity)) if start == b"{" else ("line", in_text(text))


class _Reading:
    """Collects what a feed lists, and counts what is none.

    Args:
        unit: What its parts are called: `line` or `object`.
        pace: Called again and again.

    Attributes:
        bad: Entries that are no addresses.
        first_bad: Number of the part in which the first of them stands.
    """

    def __init__(self, unit: str, pace: Callable[[], None]) -> None:
        self.bad = 0
        self.first_bad = 0
        self._unit = unit
        self._entries = 0
        self._pace = pace
        self._collector = NetworkCollector(pace)

    def listing(self, candidates: Iterable[Candidate]) -> Listing:
        """All that was collected.

        Raises:
            ValueError: The feed is broken.
        """
        for seen, (number, text) in enumerate(candidates):
            if not seen % _BETWEEN_PAUSES:
                self._pace()
            if text is not None:
                self._take(number, text)
        if self.bad * _BAD_SHARE > self.bad + self._entries:
            raise ValueError(
                f"{self.bad} of {self.bad + self._entries} entries are no addresses, the first in {self._unit} "
                f"{self.first_bad}; give a list of addresses, CSV or STIX 2.1"
            )
        return Listing(self._collector.collected(), self._entries)

    def _take(self, number: int, text: str) -> None:
        try:
            network, length = parse_network(text)
        except ValueError:
            self.bad += 1
            self.first_bad = self.first_bad or number
            return
        if is_too_broad(network, length):
            raise ValueError(f"{self._unit} {number} lists a /{length}, which is far too large; take it out")
        self._entries += 1
        if self._entries > MOST_NETWORKS:
            raise ValueError(f"the file lists more than the {MOST_NETWORKS} networks that are read; shorten it")
        self._collector.add(network, length)


def _may_be_half_written(file: BinaryIO) -> bool:
    if not 0 <= time() - os.fstat(file.fileno()).st_mtime < _WRITTEN_SECONDS:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"
