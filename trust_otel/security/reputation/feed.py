"""One reputation feed. It is parsed in short steps, so that the service keeps the GIL most of the time."""

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
from trust_otel.security.cidr_set import CidrSet, CidrSetBuilder
from trust_otel.security.reputation.entries import Entry, json_entries, text_entries
from trust_otel.security.reputation.network_parsing import is_too_broad, parse_network
from trust_otel.security.reputation.stix import Validity

_logger = logging.getLogger(__name__)

MAX_NETWORKS: Final = 2_000_000
MAX_BYTES: Final = 128 * 2**20

_INVALID_LIMIT: Final = 4
"""A feed is rejected if more than one of this many entries is invalid."""

_WRITE_SECONDS: Final = 10
"""For this long after its last change, a file that does not end with a newline counts as half-written."""

_VALIDITY_SECONDS: Final = 300
"""Minimum time between two reads of an unchanged feed whose entries become valid or expire."""

_PAUSE_EVERY: Final = 32
"""Entries between two pauses."""

_COMPRESSED: Final = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd")
"""Magic numbers of gzip, zip, bzip2, xz and zstd."""


class Throttle:
    """Sleeps for a millisecond after each millisecond of work, which releases the GIL.

    Without it, a thread of the service would wait for Python's switch interval (5 ms) each time it wakes up.

    Attributes:
        stopped: Set it to stop the work.
    """

    _SECONDS: Final = 0.001

    def __init__(self) -> None:
        self.stopped = False
        self._resumed_at = 0.0

    def __call__(self) -> None:
        """Sleep if the last sleep was more than a millisecond ago.

        Raises:
            StoppedError: The work must stop.
        """
        if self.stopped:
            raise StoppedError
        if perf_counter() - self._resumed_at > self._SECONDS:
            sleep(self._SECONDS)
            self._resumed_at = perf_counter()


class StoppedError(Exception):
    """The feed was closed while it was being read."""


@dataclass(frozen=True)
class FeedContent:
    """The content of a feed.

    Attributes:
        networks: All networks and addresses.
        entries: Number of valid entries in the file, including entries that are contained in others.
    """

    networks: CidrSet
    entries: int


_EMPTY: Final = FeedContent(CidrSet(), 0)


class Feed:
    """One feed.

    Args:
        name: Its name in the setting.
        path: Its file.
        throttle: Called repeatedly while the file is read.
    """

    def __init__(self, name: str, path: str, throttle: Callable[[], None]) -> None:
        self.name = name
        self._throttle = throttle
        self._reread_at = inf
        self._file = ReloadingFile(path, self._read, _EMPTY)

    @property
    def networks(self) -> CidrSet:
        """The networks in use."""
        return self._file.value.networks

    @property
    def entries(self) -> int:
        """Number of entries in use."""
        return self._file.value.entries

    def read_if_changed(self) -> str | None:
        """Read the file if it has changed, or if entries of it have become valid or expired.

        Returns:
            The problem with the file; `None` if there is none.
        """
        now = time()
        validity_changed = now >= self._reread_at
        if validity_changed:
            self._reread_at = now + _VALIDITY_SECONDS
        try:
            self._file.read_if_changed(force=validity_changed)
        except StoppedError:
            return None
        except Exception as error:
            return str(error) if isinstance(error, ValueError) else f"the file cannot be read ({type(error).__name__})"
        return None

    def close(self) -> None:
        """Release the content."""
        self._file.value = _EMPTY

    def _read(self, path: Path) -> FeedContent:
        with open_file(path, MAX_BYTES) as file:
            return self._parse(file)

    def _parse(self, file: BinaryIO) -> FeedContent:
        validity = Validity(time())
        unit, entries = self._entries(file, validity)
        reader = _Reader(unit, self._throttle)
        content = reader.read(entries)
        if self.entries and not content.entries and not validity.has_inactive:
            raise ValueError("the file is empty now; the previous entries stay in use until the service restarts")
        if reader.invalid:
            _logger.warning(
                "trust-otel: reputation %s: %d of %d entries are not addresses, the first in %s %d",
                self.name,
                reader.invalid,
                reader.invalid + content.entries,
                unit,
                reader.first_invalid,
            )
        self._reread_at = max(validity.next_change, time() + _VALIDITY_SECONDS)
        return content

    def _entries(self, file: BinaryIO, validity: Validity) -> tuple[str, Iterator[Entry]]:
        """The unit that the numbers of the entries count (`line` or `object`), and the entries."""
        beginning = file.read(512)
        if beginning.startswith(_COMPRESSED):
            raise ValueError("the file is compressed; decompress it first")
        if b"\0" in beginning:
            raise ValueError("the file is not text; save it as UTF-8")
        start = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        if start == b"<":
            raise ValueError("the file is HTML or XML, probably an error page; check the download")
        if start not in (b"", b"{") and self.entries and _may_be_half_written(file):
            raise IncompleteFileError(
                "the last line has no end, so the file is still being written; it is read again soon"
            )
        file.seek(0)
        text = TextIOWrapper(file, encoding="utf-8-sig", errors="replace")
        return ("object", json_entries(text.read(), validity)) if start == b"{" else ("line", text_entries(text))


class _Reader:
    """Collects the networks of a feed and counts invalid entries.

    Args:
        unit: What the numbers of the entries count: `line` or `object`.
        throttle: Called repeatedly.

    Attributes:
        invalid: Number of entries that are not addresses.
        first_invalid: Number of the line or object of the first of them.
    """

    def __init__(self, unit: str, throttle: Callable[[], None]) -> None:
        self.invalid = 0
        self.first_invalid = 0
        self._unit = unit
        self._valid = 0
        self._throttle = throttle
        self._builder = CidrSetBuilder(throttle)

    def read(self, entries: Iterable[Entry]) -> FeedContent:
        """The content of the feed.

        Raises:
            ValueError: The feed is rejected.
        """
        for count, (number, text) in enumerate(entries):
            if not count % _PAUSE_EVERY:
                self._throttle()
            if text is not None:
                self._add(number, text)
        if self.invalid * _INVALID_LIMIT > self.invalid + self._valid:
            raise ValueError(
                f"{self.invalid} of {self.invalid + self._valid} entries are not addresses, the first in {self._unit} "
                f"{self.first_invalid}; use a list of addresses, CSV or STIX 2.1"
            )
        return FeedContent(self._builder.build(), self._valid)

    def _add(self, number: int, text: str) -> None:
        try:
            network, length = parse_network(text)
        except ValueError:
            self.invalid += 1
            self.first_invalid = self.first_invalid or number
            return
        if is_too_broad(network, length):
            raise ValueError(f"{self._unit} {number} contains a /{length} network, which is too large; remove it")
        self._valid += 1
        if self._valid > MAX_NETWORKS:
            raise ValueError(f"the file has more than {MAX_NETWORKS} networks; use a shorter list")
        self._builder.add(network, length)


def _may_be_half_written(file: BinaryIO) -> bool:
    if not 0 <= time() - os.fstat(file.fileno()).st_mtime < _WRITE_SECONDS:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"
