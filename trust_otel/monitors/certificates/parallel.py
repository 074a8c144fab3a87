"""Runs readings side by side, so that one that hangs holds up no other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final, TypeVar

from opentelemetry.instrumentation.utils import suppress_instrumentation

_WIDTH: Final = 16

_Result = TypeVar("_Result")


class SideBySide:
    """Some threads of its own per run: a pool would show up among the service's executors, and delay its end."""

    def __init__(self) -> None:
        self._running: dict[str, threading.Thread] = {}

    def run(self, tasks: Mapping[str, Callable[[], _Result]], seconds: float) -> dict[str, _Result]:
        """The results of the tasks that ended in time.

        The others are left to themselves. As long as one of them goes on, it is not begun again.

        Args:
            tasks: What to run, by its name; none may raise.
            seconds: How long a task may take; the whole may take this times the number of rounds that are needed.
        """
        waiting = deque((key, task) for key, task in tasks.items() if not self._runs(key))
        results: dict[str, _Result] = {}
        rounds = -(-len(waiting) // _WIDTH)
        threads = [
            threading.Thread(
                target=self._work, args=(waiting, results), name="trust-otel-certificate-reader", daemon=True
            )
            for _ in range(min(_WIDTH, len(waiting)))
        ]
        for thread in threads:
            thread.start()
        deadline = monotonic() + seconds * rounds
        for thread in threads:
            thread.join(max(0.0, deadline - monotonic()))
        waiting.clear()
        return dict(results)

    def _runs(self, key: str) -> bool:
        # In a child process the parent's threads are there by name only.
        thread = self._running.get(key)
        return thread is not None and thread.is_alive()

    def _work(self, waiting: deque[tuple[str, Callable[[], _Result]]], results: dict[str, _Result]) -> None:
        # What we ask for is no request of the service.
        with suppress_instrumentation():
            while waiting:
                try:
                    key, task = waiting.popleft()
                except IndexError:  # another thread was faster
                    return
                self._running[key] = threading.current_thread()
                try:
                    results[key] = task()
                finally:
                    del self._running[key]
