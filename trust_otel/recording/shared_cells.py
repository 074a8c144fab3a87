"""Series whose numbers are in a file that other processes map, so that they survive a process that is killed.

A file belongs to one process, which alone writes to it. It is a sequence of records, each a JSON object with the metric
and the labels, and the numbers as doubles. A record never moves, so that readers need no lock. The file grows by blocks
that are written with zeros: on a full tmpfs, writing to a mapped page without memory would kill the process (SIGBUS).
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import struct
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from time import time_ns
from typing import Any, Final, cast

from trust_otel import forks
from trust_otel.recording.labels import Labels
from trust_otel.recording.series import (
    GIL_ENABLED,
    CounterSeries,
    HistogramSeries,
    counter_series,
    histogram_series,
)
from trust_otel.semconv.definitions import Metric

_logger = logging.getLogger(__name__)

_BLOCK: Final = 1 << 16
_WORD: Final = 8
_USED: Final = struct.Struct("=Q")
_HEADER: Final = struct.Struct("=II")
"""Of a record: length of the JSON object, which is padded to whole words, and number of doubles."""


@dataclass(frozen=True)
class SharedSeries:
    """A series in a file.

    Attributes:
        metric: Name of the metric.
        labels: The label set.
        start_time_unix_nano: When counting began.
        numbers: The sum of a counter; of a histogram, the number of amounts in each bucket, and then their sum.
    """

    metric: str
    labels: Labels
    start_time_unix_nano: int
    numbers: tuple[float, ...]


class CellFile:
    """The file of this process.

    Args:
        path: Where the file is created.

    Raises:
        OSError: It cannot be created, or there is no space for it.
    """

    def __init__(self, path: Path) -> None:
        self._lock = forks.released_in_child(threading.RLock())
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._end = 0
        try:
            self._map = self._grow(_BLOCK)
        except OSError:
            os.close(self._file)
            path.unlink()
            raise
        # The number of bytes in use.
        self._used = memoryview(self._map)[:_WORD].cast("Q")
        self._next = self._base + _WORD
        self._used[0] = self._next

    def allocate(self, metric: str, labels: Labels, count: int) -> Any:
        """Zeros for a new series.

        Raises:
            OSError: There is no space for them.
        """
        entry = json.dumps([metric, dict(labels), time_ns()]).encode()
        entry += b" " * (-len(entry) % _WORD)
        size = _HEADER.size + len(entry) + count * _WORD
        with self._lock:
            if self._next + size > self._end:
                self._skip_to_new_block(size)
            at = self._next - self._base
            _HEADER.pack_into(self._map, at, len(entry), count)
            cells = at + _HEADER.size
            self._map[cells : cells + len(entry)] = entry
            cells += len(entry)
            self._next += size
            # Last: readers look only at what is in use.
            self._used[0] = self._next
            return memoryview(self._map)[cells : cells + count * _WORD].cast("d")

    def _skip_to_new_block(self, size: int) -> None:
        at, end, file_map = self._next - self._base, self._end, self._map
        # Each mapping takes a file descriptor: a few large ones, not many small ones.
        self._map = self._grow(-(-max(_BLOCK, size, end // 2) // _BLOCK) * _BLOCK)
        if self._next < end:
            # An empty record fills the rest.
            _HEADER.pack_into(file_map, at, end - self._next - _HEADER.size, 0)
        self._next = end

    def _grow(self, size: int) -> mmap.mmap:
        try:
            if os.pwrite(self._file, bytes(size), self._end) < size:
                raise OSError("no space for the numbers")
            file_map = mmap.mmap(self._file, size, offset=self._end)
        except OSError:
            os.truncate(self._file, self._end)
            raise
        self._base, self._end = self._end, self._end + size
        return file_map

    def close(self) -> None:
        """Close the file descriptor; what is mapped stays mapped."""
        os.close(self._file)


def read_series(path: Path) -> Iterator[SharedSeries]:
    """The series in the file of another process.

    Raises:
        OSError: The file does not exist any more.
    """
    content = memoryview(path.read_bytes())
    # Without space for the first block, it is empty.
    used = _USED.unpack_from(content)[0] if content else 0
    at = _WORD
    while at < used:
        length, count = _HEADER.unpack_from(content, at)
        start = at + _HEADER.size
        at = start + length + count * _WORD
        if count:
            metric, labels, since = json.loads(bytes(content[start : start + length]))
            yield SharedSeries(metric, labels, since, tuple(content[start + length : at].cast("d")))


class SharedCounterSeries(CounterSeries):
    """A counter series whose sum can be shared."""

    __slots__ = ("_metric", "_whole", "cells")

    def __init__(self, metric: Metric, labels: Labels) -> None:
        self._metric = metric.name
        super().__init__(labels)

    @property
    def value(self) -> float:  # type: ignore[override]
        """Sum of all amounts."""
        total: float = self.cells[0]
        return int(total) if self._whole else total

    def restart(self) -> None:
        """Count from 0."""
        self.start_time_unix_nano = time_ns()
        self._whole = True
        self.cells = _sharing.new_cells(self, 1)

    def shared_cells(self, file: CellFile) -> Any:
        """New cells in the file."""
        return file.allocate(self._metric, self.labels, 1)

    def add(self, amount: float) -> None:
        """Add an int or float, and no instance of a subclass: its `__add__` could switch threads."""
        self.cells[0] += amount
        if self._whole and type(amount) is float:
            self._whole = False


class SharedHistogramSeries(HistogramSeries):
    """A histogram series whose bucket counts and sum can be shared."""

    __slots__ = ("_metric", "cells")

    def __init__(self, metric: Metric, labels: Labels) -> None:
        self._metric = metric.name
        super().__init__(labels, metric.buckets)

    @property
    def counts(self) -> list[int]:  # type: ignore[override]
        """Number of amounts in each bucket; the last one has no bound."""
        return [int(count) for count in self.cells[:-1]]

    @property
    def sum(self) -> float:  # type: ignore[override]
        """Sum of all amounts."""
        total: float = self.cells[-1]
        return total

    def restart(self) -> None:
        """Count from 0."""
        self.start_time_unix_nano = time_ns()
        self.cells = _sharing.new_cells(self, len(self.bounds) + 2)
        self.low, self.high = inf, -1.0
        self.samples = {}

    def shared_cells(self, file: CellFile) -> Any:
        """New cells in the file."""
        return file.allocate(self._metric, self.labels, len(self.bounds) + 2)

    def record(self, amount: float) -> None:
        """Add an int or float of 0 or more, and no instance of a subclass."""
        # First the call: between the load of `cells` and the store, no thread may switch, or move the numbers.
        bucket = bisect_left(self.bounds, amount)
        self.cells[bucket] += 1
        self.cells[-1] += amount
        if amount < self.low:
            self.low = amount
        if amount > self.high:
            self.high = amount
        if self.listener is not None:
            self.listener(self, amount)


_Series = SharedCounterSeries | SharedHistogramSeries


class _Sharing:
    """Where the numbers of this process are: in memory, or in a file once there is another process."""

    def __init__(self) -> None:
        self._lock = forks.released_in_child(threading.RLock())
        self._make_path: Callable[[], Path] | None = None
        self._started = False
        self._file: CellFile | None = None
        self._process = 0
        self._failed = False
        self._private: list[_Series] = []

    @property
    def possible(self) -> bool:
        return self._make_path is not None

    def prepare(self, make_path: Callable[[], Path]) -> None:
        self._make_path = make_path

    def start(self) -> None:
        with self._lock:
            self._restart_after_fork()
            self._started = True
            while self._private:
                try:
                    self._move(self._private[-1])
                except OSError as error:
                    self._fail(error)
                    return
                self._private.pop()
            if self._failed:
                self._failed = False
                _logger.warning(
                    "trust-otel: what this process counts is on the metrics endpoint again, also if it is killed"
                )

    def new_cells(self, series: _Series, count: int) -> Any:
        with self._lock:
            self._restart_after_fork()
            # Without space, the next `start` tries again, not each new series.
            if self._started and not self._failed:
                try:
                    return series.shared_cells(self._own_file())
                except OSError as error:
                    self._fail(error)
            self._private.append(series)
            return memoryview(bytearray(count * _WORD)).cast("d")

    def _move(self, series: _Series) -> None:
        shared, private = series.shared_cells(self._own_file()), series.cells
        # With the GIL, no other thread runs between these two: neither calls a function.
        shared[:] = private
        series.cells = shared

    def _restart_after_fork(self) -> None:
        if self._process == os.getpid():
            return
        if self._process:
            # A forked process is not the only one.
            self._started, self._private = True, []
        if self._file is not None:
            self._file.close()
        self._process, self._file, self._failed = os.getpid(), None, False

    def _own_file(self) -> CellFile:
        if self._file is None:
            # Only series that were made after `prepare` are shared.
            self._file = CellFile(cast("Callable[[], Path]", self._make_path)())
        return self._file

    def _fail(self, error: OSError) -> None:
        if not self._failed:
            self._failed = True
            _logger.warning(
                "trust-otel: what this process counts is missing from the metrics endpoint if it is killed (%s)", error
            )


_sharing = _Sharing()


def prepare_sharing(make_path: Callable[[], Path]) -> None:
    """Let the numbers of the series that are made from now on be shared.

    Args:
        make_path: Returns where this process creates its file.
    """
    _sharing.prepare(make_path)


def start_sharing() -> None:
    """Move the numbers of this process to its file, also those for which there was no space before.

    Called when there is another process, which could read them.
    """
    _sharing.start()


def new_counter_series(metric: Metric, labels: Labels) -> CounterSeries:
    """A new series, which can be shared if that was prepared and the interpreter has the GIL."""
    return SharedCounterSeries(metric, labels) if _sharing.possible and GIL_ENABLED else counter_series(labels)


def new_histogram_series(metric: Metric, labels: Labels) -> HistogramSeries:
    """A new series, which can be shared if that was prepared and the interpreter has the GIL."""
    if _sharing.possible and GIL_ENABLED:
        return SharedHistogramSeries(metric, labels)
    return histogram_series(labels, metric.buckets)
