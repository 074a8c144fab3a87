"""Where measurements are added up: a series is a label set with its sum or its bucket counts."""

from __future__ import annotations

import sys
import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from time import time_ns
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trust_otel.recording.labels import Labels

GIL_ENABLED: bool = getattr(sys, "_is_gil_enabled", lambda: True)()

EXACT: Final = 2**53
"""Integers below it are exact as a float; a larger one would not fit the protocol's 64 bits for long."""

SlaEvaluator = Callable[["Labels"], Callable[[float], None] | None]
"""Returns the function that records amounts with these labels; `None` when the SLA does not cover them."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A single measurement and its span, exported as an exemplar."""

    amount: float
    time_unix_nano: int
    trace_id: int | None
    span_id: int | None


class CounterSeries:
    """A label set of a counter or an up-down counter, with the sum of the amounts.

    Without a lock: CPython with the GIL switches threads only at a call or a backward jump, and none is between the
    load and the store of `self.value += amount`. That is not documented, so `test_python_versions.py` tests it in each
    version.

    Attributes:
        labels: The label set.
        value: Sum of all amounts.
        start_time_unix_nano: When counting began.
    """

    __slots__ = ("labels", "start_time_unix_nano", "value")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.restart()

    def restart(self) -> None:
        """Count from 0."""
        self.start_time_unix_nano = time_ns()
        self.value: float = 0

    def add(self, amount: float) -> None:
        """Add an int or float, and no instance of a subclass: its `__add__` could switch threads."""
        self.value += amount

    def exported_value(self) -> float:
        """The sum, as a float where a whole number would leave the protocol's 64 bits."""
        value = self.value
        return value if -EXACT < value < EXACT else float(value)


class LockedCounterSeries(CounterSeries):
    """A counter series for interpreters without the GIL."""

    __slots__ = ("_lock",)

    def restart(self) -> None:
        """Count from 0."""
        # Renewed also in a forked process: a thread that only the parent has may hold it. Reentrant: a garbage
        # collection may end an operation, and record it, in the middle of a recording.
        self._lock = threading.RLock()
        super().restart()

    def add(self, amount: float) -> None:
        """Add an int or float."""
        with self._lock:
            super().add(amount)


class HistogramSeries:
    """A label set of a histogram, with what was recorded under it. Without a lock, like `CounterSeries`.

    Attributes:
        labels: The label set.
        bounds: Upper bounds of the buckets, inclusive, without infinity.
        counts: Number of amounts in each bucket; the last one has no bound.
        sum: Sum of all amounts.
        low: Lowest amount; infinite without one.
        high: Highest amount; negative without one.
        start_time_unix_nano: When counting began.
        evaluators: The SLAs that cover the label set, and for which SLA file.
        listener: Gets each recorded amount; `None` if nobody needs them.
    """

    __slots__ = (
        "bounds",
        "counts",
        "evaluators",
        "high",
        "labels",
        "listener",
        "low",
        "samples",
        "start_time_unix_nano",
        "sum",
    )

    def __init__(self, labels: Labels, bounds: Sequence[float]) -> None:
        self.labels = labels
        self.bounds = bounds
        self.listener: Listener | None = None
        self.evaluators: tuple[tuple[SlaEvaluator, ...], tuple[Callable[[float], None], ...]] = ((), ())
        self.restart()

    def restart(self) -> None:
        """Count from 0."""
        self.start_time_unix_nano = time_ns()
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum: float = 0
        self.low, self.high = inf, -1.0
        self.samples: dict[int, Sample] = {}

    def record(self, amount: float) -> None:
        """Add an int or float of 0 or more, and no instance of a subclass."""
        self.counts[bisect_left(self.bounds, amount)] += 1
        self.sum += amount
        if amount < self.low:
            self.low = amount
        if amount > self.high:
            self.high = amount
        if self.listener is not None:
            self.listener(self, amount)

    def keep_sample(self, sample: Sample) -> None:
        """Keep the last sample of each bucket."""
        self.samples[bisect_left(self.bounds, sample.amount)] = sample


class LockedHistogramSeries(HistogramSeries):
    """A histogram series for interpreters without the GIL."""

    __slots__ = ("_lock",)

    def restart(self) -> None:
        """Count from 0."""
        # Renewed also in a forked process: a thread that only the parent has may hold it. Reentrant: a garbage
        # collection may end an operation, and record it, in the middle of a recording.
        self._lock = threading.RLock()
        super().restart()

    def record(self, amount: float) -> None:
        """Add an amount, 0 or more."""
        with self._lock:
            super().record(amount)


def counter_series(labels: Labels) -> CounterSeries:
    """A new series, with a lock if the interpreter needs it."""
    return CounterSeries(labels) if GIL_ENABLED else LockedCounterSeries(labels)


def histogram_series(labels: Labels, bounds: Sequence[float]) -> HistogramSeries:
    """A new series, with a lock if the interpreter needs it."""
    return HistogramSeries(labels, bounds) if GIL_ENABLED else LockedHistogramSeries(labels, bounds)


Listener = Callable[[HistogramSeries, float], None]
"""Called with a series and the amount that was recorded in it."""

Sampler = Listener
"""Decides whether a recorded amount becomes an exemplar, and keeps it."""
