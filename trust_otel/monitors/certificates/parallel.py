"""Runs tasks in parallel, so that a task that hangs does not block the others."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final, TypeVar

from opentelemetry.instrumentation.utils import suppress_instrumentation

_MAX_THREADS: Final = 16

_Result = TypeVar("_Result")


class ParallelRunner:
    """Runs tasks on new threads. A pool would appear in the executor metrics and delay the exit of the process."""

    def __init__(self) -> None:
        self._running: dict[str, threading.Thread] = {}

    def run(self, tasks: Mapping[str, Callable[[], _Result]], seconds: float) -> dict[str, _Result]:
        """Run the tasks and return the results of those that ended in time.

        The others keep running in the background and are not started again while they run.

        Args:
            tasks: The tasks by name; they must not raise.
            seconds: Timeout of a task. With more tasks than threads, the total timeout is a multiple of it.
        """
        waiting = deque((key, task) for key, task in tasks.items() if not self._is_running(key))
        results: dict[str, _Result] = {}
        rounds = -(-len(waiting) // _MAX_THREADS)
        threads = [
            threading.Thread(
                target=self._work, args=(waiting, results), name="trust-otel-certificate-reader", daemon=True
            )
            for _ in range(min(_MAX_THREADS, len(waiting)))
        ]
        for thread in threads:
            thread.start()
        deadline = monotonic() + seconds * rounds
        for thread in threads:
            thread.join(max(0.0, deadline - monotonic()))
        waiting.clear()
        return dict(results)

    def _is_running(self, key: str) -> bool:
        # The threads of a parent process do not run in a forked child.
        thread = self._running.get(key)
        return thread is not None and thread.is_alive()

    def _work(self, waiting: deque[tuple[str, Callable[[], _Result]]], results: dict[str, _Result]) -> None:
        # These requests are not traffic of the service.
        with suppress_instrumentation():
            while waiting:
                try:
                    key, task = waiting.popleft()
                except IndexError:  # taken by another thread
                    return
                self._running[key] = threading.current_thread()
                try:
                    results[key] = task()
                finally:
                    del self._running[key]
