"""trust-otel's metrics about itself: the heartbeat, dropped measurements and overflow."""

from __future__ import annotations

import atexit
import threading
from collections import Counter
from collections.abc import Iterable

from opentelemetry.metrics import CallbackOptions, Observation

from trust_otel.export import shutdown
from trust_otel.semconv.attributes import METRIC, REASON


class DroppedMeasurements:
    """Counts what was dropped, by reason (each is there from the start, at 0), and what overflowed, by metric."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._dropped: Counter[str] = Counter({str(reason): 0 for reason in REASON.members})
        self._overflowed: Counter[str] = Counter()

    def count(self, reason: str) -> None:
        """Count a measurement, or a part of one, that was dropped."""
        with self._lock:
            self._dropped[reason] += 1

    def watch(self, metric: str) -> None:
        """Export the overflow of a metric as 0 from the start, so that an alert sees the first one."""
        with self._lock:
            self._overflowed.setdefault(metric, 0)

    def overflow(self, metric: str) -> None:
        """Count a measurement that went into an overflow series."""
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


class Heartbeat:
    """Whether the process is running, or has begun a clean shutdown.

    An alert fires for an instance that stopped reporting at 1, and not after a clean shutdown. It must be created after
    the provider, so that the provider's last export has the value 0, also where the program set up the provider.
    """

    def __init__(self) -> None:
        atexit.register(shutdown.begun.set)

    def observe(self, _options: CallbackOptions) -> Iterable[Observation]:
        """Callback of `trust.otel.instance.up`."""
        return [Observation(0 if shutdown.begun.is_set() else 1)]
