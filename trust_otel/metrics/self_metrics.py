"""What trust-otel says of itself: whether the process lives, and what was lost on the way."""

from __future__ import annotations

import atexit
import threading
from collections import Counter
from collections.abc import Iterable

from opentelemetry.metrics import CallbackOptions, Observation

from trust_otel.export import shutdown
from trust_otel.semconv.attributes import METRIC, REASON


class Loss:
    """Counts what was dropped, by reason (each is there from the start, at 0), and what overflowed, by metric."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._dropped: Counter[str] = Counter({str(reason): 0 for reason in REASON.members})
        self._overflowed: Counter[str] = Counter()

    def count(self, reason: str) -> None:
        """Note that a measurement, or a part of one, was not kept."""
        with self._lock:
            self._dropped[reason] += 1

    def watch(self, metric: str) -> None:
        """Show the overflow of a metric as 0 before the first, which an alert must not miss."""
        with self._lock:
            self._overflowed.setdefault(metric, 0)

    def overflow(self, metric: str) -> None:
        """Note that a measurement was folded into an overflow series."""
        with self._lock:
            self._overflowed[metric] += 1

    def restart_in_child(self) -> None:
        """Count from 0 in a forked process."""
        self._lock = threading.RLock()
        self._dropped = Counter(dict.fromkeys(self._dropped, 0))
        self._overflowed = Counter(dict.fromkeys(self._overflowed, 0))

    def observe_dropped(self, _options: CallbackOptions) -> Iterable[Observation]:
        """Callback of `trust.otel.dropped`."""
        with self._lock:
            counts = dict(self._dropped)
        return [Observation(count, {REASON.name: reason}) for reason, count in counts.items()]

    def observe_overflow(self, _options: CallbackOptions) -> Iterable[Observation]:
        """Callback of `trust.otel.overflow`."""
        with self._lock:
            counts = dict(self._overflowed)
        return [Observation(count, {METRIC.name: name}) for name, count in counts.items()]


class Life:
    """Whether the process runs, or has begun to end in order.

    An alert fires for an instance whose last value was 1, and not for one that ended in order. It must be created after
    the provider, whose last export then has the value 0, also where the program has set up a provider itself.
    """

    def __init__(self) -> None:
        atexit.register(shutdown.begun.set)

    def observe(self, _options: CallbackOptions) -> Iterable[Observation]:
        """Callback of `trust.otel.instance.up`."""
        return [Observation(0 if shutdown.begun.is_set() else 1)]
