"""Reads a store of the service at each collection, with a function that the service gives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from inspect import iscoroutine, iscoroutinefunction
from time import monotonic
from typing import Final, Generic, TypeVar

from trust_otel import forks
from trust_otel.background import signals_blocked
from trust_otel.export import shutdown
from trust_otel.log_safe import error_location
from trust_otel.recording.self_metrics import DroppedMeasurements

_Value = TypeVar("_Value")

# Shorter than the 2 seconds that the endpoint waits for another process.
_READ_SECONDS: Final = 1.0


class StoreReader(Generic[_Value]):
    """Calls the function in a thread, and waits for it for up to a second.

    Args:
        method: The method of the API that takes the function, for the log.
        returns: What the function returns, for the log.
        convert: Returns the value from what the function returned; raises ValueError with the problem.
        dropped: Counts failures.
    """

    def __init__(
        self, method: str, returns: str, convert: Callable[[object], _Value], dropped: DroppedMeasurements
    ) -> None:
        self._method = method
        self._returns = returns
        self._convert = convert
        self._dropped = dropped
        self._function: Callable[[], object] | None = None
        self._lock = forks.released_in_child(threading.Lock())
        self._thread: threading.Thread | None = None
        self._deadline = 0.0

    def use(self, function: Callable[[], object]) -> bool:
        """Read with this function from now on; returns whether it is one that can be called here."""
        if not callable(function) or iscoroutinefunction(function):
            given = "a coroutine function" if callable(function) else type(function).__name__
            self._report_result(f"it was given {given}")
            return False
        self._function = function
        return True

    def read(self) -> list[_Value]:
        """The value; empty if the function fails, returns something else or takes too long."""
        # During shutdown, the store may be closed, and no thread can start.
        if shutdown.started.is_set() or self._function is None:
            return []
        found: list[_Value] = []
        with self._lock:
            if self._has_ended():
                self._start(self._function, found)
            if not self._has_ended():
                self._report_timeout()
        return found

    def _start(self, function: Callable[[], object], found: list[_Value]) -> None:
        # In a thread: a store that does not answer must not delay all other metrics.
        thread = threading.Thread(target=self._call, args=(function, found), name="trust-otel-store", daemon=True)
        self._thread, self._deadline = thread, monotonic() + _READ_SECONDS
        with signals_blocked():
            thread.start()

    def _has_ended(self) -> bool:
        """Whether no thread is reading; waits for it until its deadline."""
        # The thread of a parent process does not run in a forked child.
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(max(0.0, self._deadline - monotonic()))
            return not self._thread.is_alive()
        return True

    def _call(self, function: Callable[[], object], found: list[_Value]) -> None:
        try:
            returned = function()
        except BaseException as error:  # whatever it is, it ends with this thread
            raised = error
            self._dropped.report(
                "internal_error",
                self._method,
                lambda: f"the function given to {self._method} failed: {error_location(raised)}",
            )
            return
        try:
            found.append(self._convert(returned))
        except ValueError as error:
            if iscoroutine(returned):
                # Python would warn that nobody awaits it.
                returned.close()
            self._report_result(f"it returned {error}")
        except Exception:  # such as a mapping that fails when it is read
            self._dropped.count("internal_error")

    def _report_result(self, problem: str) -> None:
        self._dropped.report(
            "invalid_value",
            self._method,
            lambda: f"{self._method} takes a function that returns {self._returns}; {problem}",
        )

    def _report_timeout(self) -> None:
        self._dropped.report(
            "internal_error",
            f"{self._method}: timeout",
            lambda: (
                f"the function given to {self._method} takes longer than {_READ_SECONDS:g} s; set a timeout for the "
                "store that it reads"
            ),
        )
