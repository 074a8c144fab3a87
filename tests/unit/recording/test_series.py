"""Series lose no measurement of any thread."""

import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from trust_otel.recording.series import CounterSeries, HistogramSeries, LockedCounterSeries, LockedHistogramSeries

_THREADS, _AMOUNTS = 8, 20_000


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    """Let the interpreter switch threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_bounds_are_inclusive() -> None:
    series = HistogramSeries({}, (1.0, 2.0))
    for amount in (0, 1, 1.5, 2, 3):
        series.record(amount)
    assert (series.counts, series.sum, series.low, series.high) == ([2, 2, 1], 7.5, 0, 3)


@pytest.mark.usefixtures("frequent_switches")
@pytest.mark.parametrize("kind", [HistogramSeries, LockedHistogramSeries])
def test_concurrent_threads_lose_nothing_of_a_histogram(kind: type[HistogramSeries]) -> None:
    series = kind({}, (1.0, 2.0))

    def record() -> None:
        for _ in range(_AMOUNTS):
            series.record(1)
            series.record(3)

    _run_in_threads(record)
    total = _THREADS * _AMOUNTS
    assert (series.counts, series.sum) == ([total, 0, total], 4 * total)


@pytest.mark.usefixtures("frequent_switches")
@pytest.mark.parametrize("kind", [CounterSeries, LockedCounterSeries])
@pytest.mark.parametrize("amount", [1, 0.5])
def test_concurrent_threads_lose_nothing_of_a_counter(kind: type[CounterSeries], amount: float) -> None:
    series = kind({})

    def add() -> None:
        for _ in range(_AMOUNTS):
            series.add(amount)

    _run_in_threads(add)
    assert series.value == _THREADS * _AMOUNTS * amount


def _run_in_threads(target: Callable[[], None]) -> None:
    threads = [threading.Thread(target=target) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_restart_of_a_counter_counts_from_zero() -> None:
    series = CounterSeries({})
    series.add(2)
    series.restart()
    series.add(1)
    assert series.value == 1


def test_restart_of_a_histogram_counts_from_zero() -> None:
    series = HistogramSeries({}, (1.0,))
    series.record(1)
    before = series.start_time_unix_nano
    series.restart()
    assert (series.counts, series.sum) == ([0, 0], 0)
    assert series.start_time_unix_nano > before
