"""The worker threads that AnyIO keeps for synchronous handlers."""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakSet

from anyio import CapacityLimiter
from anyio.to_thread import current_default_thread_limiter

from trust_otel.metrics.executor import ExecutorState


class WorkerThreads:
    """The limiters of every event loop that served a request, summed."""

    def __init__(self) -> None:
        self._limiters: WeakSet[CapacityLimiter] = WeakSet()

    def watch(self) -> None:
        """Note the limiter of the running event loop."""
        self._limiters.add(current_default_thread_limiter())

    def forget(self) -> None:
        """Watch none of them any more."""
        self._limiters.clear()

    def states(self) -> Iterable[ExecutorState]:
        """What the threads do now."""
        seen = [limiter.statistics() for limiter in tuple(self._limiters)]
        return [
            ExecutorState(
                "anyio",
                active=sum(statistics.borrowed_tokens for statistics in seen),
                max=sum(int(min(statistics.total_tokens, 2**31)) for statistics in seen),
                queued=sum(statistics.tasks_waiting for statistics in seen),
            )
        ]
