"""Series in a file of the process, which other processes read."""

from __future__ import annotations

import logging
import mmap
import os
import sys
import threading
from errno import EFBIG, ENOMEM, ENOSPC
from pathlib import Path

import pytest

from trust_otel import forks
from trust_otel.recording import shared_cells
from trust_otel.recording.labels import Labels
from trust_otel.recording.series import HistogramSeries
from trust_otel.recording.shared_cells import (
    CellFile,
    SharedCounterSeries,
    SharedHistogramSeries,
    read_series,
    start_sharing,
)
from trust_otel.semconv.metrics import HTTP_SERVER_REQUEST_DURATION, TRUST_AUDIT_EVENTS

_LABELS: Labels = {"http.route": "/items/{item}", "http.response.status_code": 200}


@pytest.fixture(autouse=True)
def _sharing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(forks, "_functions", [])
    monkeypatch.setattr(shared_cells, "_sharing", shared_cells._Sharing())
    shared_cells.prepare_sharing(lambda: tmp_path / str(os.getpid()))


def _numbers(path: Path) -> dict[str, tuple[float, ...]]:
    return {series.metric: series.numbers for series in read_series(path)}


def test_series_are_read_as_they_were_recorded(tmp_path: Path) -> None:
    start_sharing()
    counter = SharedCounterSeries(TRUST_AUDIT_EVENTS, {"trust.audit.action": "read"})
    histogram = SharedHistogramSeries(HTTP_SERVER_REQUEST_DURATION, _LABELS)
    counter.add(2)
    counter.add(1.5)
    histogram.record(0.003)
    histogram.record(100.0)
    of_counter, of_histogram = read_series(tmp_path / str(os.getpid()))
    assert (of_counter.metric, of_counter.labels, of_counter.numbers) == (
        "trust.audit.events",
        {"trust.audit.action": "read"},
        (3.5,),
    )
    assert counter.start_time_unix_nano <= of_counter.start_time_unix_nano
    assert of_histogram.labels == _LABELS
    assert of_histogram.numbers == (*histogram.counts, histogram.sum)
    assert histogram.start_time_unix_nano <= of_histogram.start_time_unix_nano


def test_numbers_are_those_of_a_series_that_is_not_shared() -> None:
    start_sharing()
    shared = SharedHistogramSeries(HTTP_SERVER_REQUEST_DURATION, _LABELS)
    plain = HistogramSeries(_LABELS, HTTP_SERVER_REQUEST_DURATION.buckets)
    for amount in (0, 0.001, 0.005, 3, 7.5, 1e6):
        shared.record(amount)
        plain.record(amount)
    for name in ("counts", "sum", "low", "high", "labels", "bounds"):
        assert getattr(shared, name) == getattr(plain, name)


def test_sum_of_whole_numbers_is_whole() -> None:
    counter = SharedCounterSeries(TRUST_AUDIT_EVENTS, {})
    counter.add(2)
    assert (counter.value, type(counter.value)) == (2, int)
    counter.add(1.0)
    assert (counter.value, type(counter.value)) == (3, float)


def test_files_grow(tmp_path: Path) -> None:
    file = CellFile(tmp_path / "file")
    cells = [file.allocate("metric", {"label": f"{number}" * 30}, 16) for number in range(2000)]
    huge = file.allocate("metric", {"label": "x" * 200_000}, 3)
    for number, each in enumerate(cells):
        each[15] = number
    huge[2] = 7
    found = list(read_series(tmp_path / "file"))
    assert [series.numbers[15] for series in found[:-1]] == list(range(2000))
    assert found[-1].numbers == (0, 0, 7)


def test_only_records_that_are_complete_are_read(tmp_path: Path) -> None:
    file = CellFile(tmp_path / "file")
    file.allocate("first", {}, 1)
    file._used[0], used = file._used[0], file._used[0]
    file.allocate("second", {}, 1)
    # As if the process had been killed before it said that the record is complete.
    file._used[0] = used
    assert [series.metric for series in read_series(tmp_path / "file")] == ["first"]


def test_nothing_is_lost_when_sharing_starts_while_threads_record(tmp_path: Path) -> None:
    counter = SharedCounterSeries(TRUST_AUDIT_EVENTS, {})
    histogram = SharedHistogramSeries(HTTP_SERVER_REQUEST_DURATION, _LABELS)
    begun = threading.Barrier(5)

    def record() -> None:
        begun.wait()
        for _ in range(20_000):
            counter.add(1)
            histogram.record(1)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=record) for _ in range(4)]
        for thread in threads:
            thread.start()
        begun.wait()
        start_sharing()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    numbers = _numbers(tmp_path / str(os.getpid()))
    assert numbers["trust.audit.events"] == (80_000,)
    assert sum(numbers["http.server.request.duration"][:-1]) == 80_000
    assert numbers["http.server.request.duration"][-1] == 80_000


def test_without_space_the_process_counts_for_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "pwrite", lambda *_: 100)
    before = SharedCounterSeries(TRUST_AUDIT_EVENTS, {"trust.audit.action": "a"})
    before.add(1)
    with caplog.at_level(logging.WARNING):
        start_sharing()
        later = SharedCounterSeries(TRUST_AUDIT_EVENTS, {"trust.audit.action": "b"})
    before.add(1)
    later.add(1)
    assert (before.value, later.value) == (2, 1)
    assert len(caplog.messages) == 1
    assert "no space" in caplog.messages[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(ENOSPC, "no space"), OSError(EFBIG, "too large"), None])
def test_numbers_are_shared_once_there_is_space(
    error: OSError | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def fail(*_: object) -> int:
        if error is None:
            return 100
        raise error

    before = SharedCounterSeries(TRUST_AUDIT_EVENTS, {"trust.audit.action": "a"})
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", fail)
        for _ in range(3):
            start_sharing()
        during = SharedHistogramSeries(HTTP_SERVER_REQUEST_DURATION, _LABELS)
        before.add(1)
        during.record(1)
    start_sharing()
    start_sharing()
    before.add(1)
    during.record(1)
    numbers = _numbers(tmp_path / str(os.getpid()))
    assert numbers["trust.audit.events"] == (2,)
    assert sum(numbers["http.server.request.duration"][:-1]) == 2
    full_line, again = caplog.messages
    assert "is missing from the metrics endpoint if it is killed" in full_line
    assert again.endswith("on the metrics endpoint again, also if it is killed")


def test_file_that_cannot_be_mapped_stays_readable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = CellFile(tmp_path / "cells")
    file.allocate("trust.audit.events", {}, 1)[0] = 5
    with monkeypatch.context() as full:
        full.setattr(mmap, "mmap", _no_memory)
        with pytest.raises(OSError, match="no memory"):
            file.allocate("trust.audit.events", {"a": "large"}, 10_000)
    file.allocate("trust.audit.events", {"a": "large"}, 10_000)[0] = 6
    assert [series.numbers[0] for series in read_series(tmp_path / "cells")] == [5, 6]
    file.close()


def _no_memory(*_: object, **__: object) -> None:
    raise OSError(ENOMEM, "no memory")


def test_forked_process_counts_in_its_own_file(tmp_path: Path) -> None:
    counter = SharedCounterSeries(TRUST_AUDIT_EVENTS, {})
    counter.add(5)
    start_sharing()
    child = os.fork()
    if not child:
        counter.restart()
        counter.add(2)
        os._exit(0)
    os.waitpid(child, 0)
    counter.add(1)
    assert _numbers(tmp_path / str(child)) == {"trust.audit.events": (2,)}
    assert _numbers(tmp_path / str(os.getpid())) == {"trust.audit.events": (6,)}
