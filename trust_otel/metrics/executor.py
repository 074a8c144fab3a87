"""Thread pools."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from trust_otel.metrics.family import Family
from trust_otel.semconv.metrics import TRUST_EXECUTOR_QUEUE_SIZE, TRUST_EXECUTOR_THREADS


@dataclass(frozen=True)
class ExecutorState:
    """The state of a thread pool."""

    name: str
    active: int
    max: int
    queued: int


class ExecutorMetrics(Family):
    """Thread pools of the service."""

    def observe_executors(self, executors: Callable[[], Iterable[ExecutorState]]) -> None:
        """Read the state of the thread pools at each collection."""

        def threads() -> Iterable[tuple[float, Mapping[str, object]]]:
            for executor in executors():
                yield (
                    executor.active,
                    {"trust.executor.name": executor.name, "trust.executor.state": "active"},
                )
                yield executor.max, {"trust.executor.name": executor.name, "trust.executor.state": "max"}

        self._instruments.observe(TRUST_EXECUTOR_THREADS, threads)
        self._instruments.observe(
            TRUST_EXECUTOR_QUEUE_SIZE,
            lambda: [(executor.queued, {"trust.executor.name": executor.name}) for executor in executors()],
        )
