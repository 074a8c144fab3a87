"""User sessions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from trust_otel.metrics.family import Family
from trust_otel.metrics.store_reader import StoreReader
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Instruments, Record, finite
from trust_otel.recording.labels import NO_LABELS
from trust_otel.semconv.metrics import TRUST_SESSION_ACTIVE, TRUST_SESSION_STORED

_logger = logging.getLogger(__name__)


class SessionMetrics(Family):
    """Sessions that are open now. A service that records none has no series of them."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._add: Record | None = None
        self._store = StoreReader(
            "observe_sessions", "the number of open sessions, 0 or more", _number_of_sessions, self._dropped
        )
        self._observes_store = False
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
        if self._store.use(count) and not self._observes_store:
            self._observes_store = True
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
        if self._add is not None and self._observes_store and not self._mixed:
            self._mixed = True
            _logger.warning(
                "trust-otel: sessions are counted by session_started and session_ended, and by observe_sessions; "
                "dashboards show the number of observe_sessions: remove the other calls"
            )

    def _observe_stored(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        return [(number, NO_LABELS) for number in self._store.read()]


def _number_of_sessions(counted: object) -> float:
    number = finite(counted)
    if number is None or number < 0:
        raise ValueError(type(counted).__name__ if number is None else "a negative number")
    return number
