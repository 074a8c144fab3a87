"""User sessions."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from inspect import iscoroutine, iscoroutinefunction
from time import monotonic
from typing import Final

from trust_otel import forks
from trust_otel.background import signals_blocked
from trust_otel.export import shutdown
from trust_otel.log_safe import error_location
from trust_otel.metrics.family import Family
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Instruments, Record, finite
from trust_otel.recording.labels import NO_LABELS
from trust_otel.semconv.metrics import TRUST_SESSION_ACTIVE, TRUST_SESSION_STORED

_logger = logging.getLogger(__name__)

# Shorter than the 2 seconds that the endpoint waits for another process.
_COUNT_SECONDS: Final = 1.0


class SessionMetrics(Family):
    """Sessions that are open now. A service that records none has no series of them."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._add: Record | None = None
        self._count_stored: Callable[[], float] | None = None
        self._lock = forks.released_in_child(threading.Lock())
        self._counting: threading.Thread | None = None
        self._deadline = 0.0
        self._mixed = False

    def session_started(self) -> None:
        """Note that a session opened."""
        self._change(1)

    def session_ended(self) -> None:
        """Note that a session closed or expired."""
        self._change(-1)

    @fail_open
    def observe_sessions(self, count: Callable[[], float]) -> None:
        """Export the number of open sessions in the session store of the service.

        All processes of the service report the same store, so their numbers are not added: the largest is shown.

        Args:
            count: Returns the number, 0 or more. It is called in a thread at each export and each scrape; if it takes
                longer than a second, there is no number. Another call of `observe_sessions` replaces it.
        """
        if not callable(count) or iscoroutinefunction(count):
            self._report_result("it was given " + ("a coroutine function" if callable(count) else type(count).__name__))
            return
        known, self._count_stored = self._count_stored, count
        if known is None:
            # Two objects of one process observe the same store.
            self._instruments.observe(TRUST_SESSION_STORED, self._observe_stored, combine=max)
            self._warn_if_mixed()

    @fail_open
    def _change(self, change: int) -> None:
        if self._add is None:
            self._add = self._instruments.up_down_counter(TRUST_SESSION_ACTIVE).bind()
            self._warn_if_mixed()
        self._add(change)

    def _warn_if_mixed(self) -> None:
        if self._add is not None and self._count_stored is not None and not self._mixed:
            self._mixed = True
            _logger.warning(
                "trust-otel: sessions are counted by session_started and session_ended, and by observe_sessions; "
                "dashboards show the number of observe_sessions: remove the other calls"
            )

    def _observe_stored(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        # During shutdown, the store may be closed, and no thread can start.
        if shutdown.started.is_set() or self._count_stored is None:
            return []
        found: list[float] = []
        with self._lock:
            if self._has_ended():
                self._start_counting(self._count_stored, found)
            if not self._has_ended():
                self._report_timeout()
        return [(number, NO_LABELS) for number in found]

    def _start_counting(self, count: Callable[[], object], found: list[float]) -> None:
        # In a thread: a store that does not answer must not delay all other metrics.
        thread = threading.Thread(target=self._count, args=(count, found), name="trust-otel-sessions", daemon=True)
        self._counting, self._deadline = thread, monotonic() + _COUNT_SECONDS
        with signals_blocked():
            thread.start()

    def _has_ended(self) -> bool:
        """Whether no thread is counting; waits for it until its deadline."""
        # The thread of a parent process does not run in a forked child.
        if self._counting is not None and self._counting.is_alive():
            self._counting.join(max(0.0, self._deadline - monotonic()))
            return not self._counting.is_alive()
        return True

    def _count(self, count: Callable[[], object], found: list[float]) -> None:
        try:
            counted = count()
        except BaseException as error:  # whatever it is, it ends with this thread
            raised = error
            self._dropped.report(
                "internal_error",
                "observe_sessions",
                lambda: f"the function given to observe_sessions failed: {error_location(raised)}",
            )
            return
        number = finite(counted)
        if number is not None and number >= 0:
            found.append(number)
            return
        if iscoroutine(counted):
            # Python would warn that nobody awaits it.
            counted.close()
        self._report_result(f"it returned {'a negative number' if number is not None else type(counted).__name__}")

    def _report_result(self, problem: str) -> None:
        self._dropped.report(
            "invalid_value",
            "observe_sessions",
            lambda: f"observe_sessions takes a function that returns the number of open sessions, 0 or more; {problem}",
        )

    def _report_timeout(self) -> None:
        self._dropped.report(
            "internal_error",
            "observe_sessions: timeout",
            lambda: (
                f"the function given to observe_sessions takes longer than {_COUNT_SECONDS:g} s; set a timeout for the "
                "session store"
            ),
        )
