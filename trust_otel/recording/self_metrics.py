"""trust-otel's metrics about itself: the heartbeat, dropped measurements and overflow."""

from __future__ import annotations

import atexit
import logging
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final

from opentelemetry.metrics import CallbackOptions, Observation

from trust_otel.export import rejections, shutdown
from trust_otel.privacy.pii import looks_private
from trust_otel.recording.series import CounterSeries, counter_series
from trust_otel.semconv.attributes import METRIC, REASON

_logger = logging.getLogger(__name__)

_MOST_LOGGED: Final = 100
"""Most mistakes that are logged: a name may be made of what clients send."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


def shown_name(name: object) -> str:
    """A name that the service's code gave, as it may be logged."""
    text = str.__str__(name) if isinstance(name, str) else ""
    return repr(text) if _NAME.fullmatch(text) and not looks_private(text) else "(not shown: not a plain name)"


class DroppedMeasurements:
    """Counts what was dropped, by reason, and what overflowed, by metric; from 0, so that an alert sees the first one.

    Each reason is there from the start, and each metric from its first series.

    A mistake in a call is also logged, once for each reason and name.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._dropped: Counter[str] = Counter({str(reason): 0 for reason in REASON.members})
        self._overflowed: dict[str, CounterSeries] = {}
        self._noted: set[tuple[str, str]] = set()
        self._unlogged: deque[tuple[str, Callable[[], str]]] = deque()
        rejections.counters.add(self)

    def count(self, reason: str, number: int = 1, /) -> None:
        """Count measurements, or parts of them, that were dropped."""
        with self._lock:
            self._dropped[reason] += number

    def report(self, reason: str, name: str, explain: Callable[[], str]) -> None:
        """Count a mistake in a call, and log the first of this reason and name.

        Args:
            reason: Value of the attribute `reason`.
            name: What was called or given wrongly, such as a metric; no value that a person or client supplied.
            explain: Returns what is wrong and the remedy, without such values.
        """
        self.note(reason, name, explain)
        self.log_noted()

    def note(self, reason: str, name: str, explain: Callable[[], str]) -> None:
        """Do the same while holding a lock; call `log_noted` after its release.

        A handler of the log may wait for that lock, as when it records something itself.
        """
        self.count(reason)
        if (reason, name) not in self._noted and len(self._noted) < _MOST_LOGGED:
            self._noted.add((reason, name))
            self._unlogged.append((reason, explain))

    def log_noted(self) -> None:
        """Log what was noted and is not logged yet."""
        while self._unlogged:
            try:
                reason, explain = self._unlogged.popleft()
            except IndexError:  # another thread was faster
                return
            _logger.warning("trust-otel: %s (logged once; counted in trust.otel.dropped as %s)", explain(), reason)

    def watch(self, metric: str) -> None:
        """Export the overflow of a metric from now on, also while it is 0."""
        self._overflow_of(metric)

    def overflow(self, metric: str) -> None:
        """Count a measurement that went into an overflow series."""
        self._overflow_of(metric).add(1)

    def _overflow_of(self, metric: str) -> CounterSeries:
        with self._lock:
            if metric not in self._overflowed:
                self._overflowed[metric] = counter_series({METRIC.name: metric})
            return self._overflowed[metric]

    def restart_in_child(self) -> None:
        """Count from 0 in a forked process."""
        self._lock = threading.RLock()
        self._dropped = Counter(dict.fromkeys(self._dropped, 0))
        for series in self._overflowed.values():
            series.restart()

    def observe_dropped(self, _options: CallbackOptions) -> Iterable[Observation]:
        """Callback of `trust.otel.dropped`."""
        with self._lock:
            counts = dict(self._dropped)
        return [Observation(count, {REASON.name: reason}) for reason, count in counts.items()]

    def overflow_series(self) -> list[CounterSeries]:
        """The series of `trust.otel.overflow`."""
        with self._lock:
            return list(self._overflowed.values())


class Uptime:
    """How long the process has been counting. Rules use it to know a new process from an old one that they find."""

    def __init__(self) -> None:
        self.restart_in_child()

    def restart_in_child(self) -> None:
        """A forked process counts from 0."""
        self._since = monotonic()

    def observe(self, _options: CallbackOptions) -> Iterable[Observation]:
        """Callback of `process.uptime`."""
        return [Observation(monotonic() - self._since)]


class Heartbeat:
    """Whether the process is running, or has begun a clean shutdown.

    An alert fires for an instance that stopped reporting at 1, and not after a clean shutdown. It must be created after
    the provider, so that the provider's last export has the value 0, also where the program set up the provider.
    """

    def __init__(self) -> None:
        atexit.register(shutdown.started.set)

    def observe(self, _options: CallbackOptions) -> Iterable[Observation]:
        """Callback of `trust.otel.instance.up`."""
        return [Observation(0 if shutdown.started.is_set() else 1)]
