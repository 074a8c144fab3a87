"""Polls Alertmanager for silences and resolved alerts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from trust_ops.incidents.acknowledgement import Acknowledgements
from trust_ops.incidents.alertmanager import Alertmanager, AlertmanagerError
from trust_ops.incidents.database import DatabaseUnavailableError
from trust_ops.incidents.store import Store
from trust_ops.incidents.times import utc_now

_logger = logging.getLogger(__name__)

SECONDS = 15.0


class AlertmanagerPoller:
    """Records silences made in Alertmanager, and alerts that ended without a notification.

    Args:
        store: The incidents.
        alertmanager: The Alertmanager to poll.
        acknowledgements: Expires the silences of resolved incidents.
        clock: The current time.
    """

    def __init__(
        self,
        store: Store,
        alertmanager: Alertmanager,
        acknowledgements: Acknowledgements,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._alertmanager = alertmanager
        self._acknowledgements = acknowledgements
        self._clock = clock
        self._problem: str | None = None
        self.state = "unknown"

    def poll(self) -> None:
        """Poll once. An outage is logged once, and its end."""
        try:
            asked_at = self._clock()
            self._store.reconcile(self._alertmanager.active_alerts(), asked_at)
            self._acknowledgements.expire_silences()
        except AlertmanagerError as error:
            self.state = "down"
            self._log(str(error))
        except DatabaseUnavailableError as error:
            self._log(f"the database is unavailable: {error}")
        else:
            self.state = "up"
            self._log(None)

    def _log(self, problem: str | None) -> None:
        if problem is not None and self._problem is None:
            _logger.error("trust-otel: Alertmanager cannot be polled for acknowledgements: %s", problem)
        elif problem is None and self._problem is not None:
            _logger.info("trust-otel: Alertmanager is polled for acknowledgements again")
        self._problem = problem
