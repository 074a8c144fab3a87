"""The look at Alertmanager that the receiver takes every few seconds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from trust_ops.incidents.acknowledgement import Desk
from trust_ops.incidents.alertmanager import Alertmanager, AlertmanagerError
from trust_ops.incidents.database import DatabaseAwayError
from trust_ops.incidents.store import Store
from trust_ops.incidents.times import utc_now

_logger = logging.getLogger(__name__)

SECONDS = 15.0


class Watch:
    """Sees who silences what in Alertmanager, and what has ended there without a word.

    Args:
        store: The incidents.
        alertmanager: What to look at.
        desk: Ends the silences of what is over.
        clock: What time it is.
    """

    def __init__(
        self, store: Store, alertmanager: Alertmanager, desk: Desk, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._alertmanager = alertmanager
        self._desk = desk
        self._clock = clock
        self._problem: str | None = None
        self.state = "not asked yet"

    def look(self) -> None:
        """Look once. What does not answer is logged once, until it does."""
        try:
            asked_at = self._clock()
            self._store.observe(self._alertmanager.view(), asked_at)
            self._desk.end_silences()
        except AlertmanagerError as error:
            self.state = "away"
            self._log(str(error))
        except DatabaseAwayError as error:
            self._log(f"the database is away: {error}")
        else:
            self.state = "up"
            self._log(None)

    def _log(self, problem: str | None) -> None:
        if problem is not None and self._problem is None:
            _logger.error("trust-otel: acknowledgements in Alertmanager are not seen: %s", problem)
        elif problem is None and self._problem is not None:
            _logger.info("trust-otel: acknowledgements in Alertmanager are seen again")
        self._problem = problem
