"""Acknowledges incidents: creates a silence in Alertmanager, which stops paging, and adds it to the timeline."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from trust_ops.incidents.alertmanager import Alertmanager, AlertmanagerError
from trust_ops.incidents.store import AlreadyResolvedError, Store
from trust_ops.incidents.times import utc_now
from trust_otel.text import visible_text

_logger = logging.getLogger(__name__)


class Acknowledgements:
    """Acknowledges incidents and expires their silences.

    Args:
        store: The incidents.
        alertmanager: Where silences are created; `None` to only record acknowledgements.
        clock: The current time.
    """

    def __init__(
        self, store: Store, alertmanager: Alertmanager | None, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._alertmanager = alertmanager
        self._clock = clock

    def acknowledge(self, number: int, person: str, comment: str, duration: timedelta) -> datetime | None:
        """Silence the alert of an incident and record who acknowledged it; returns the end of the silence.

        Raises:
            NoSuchIncidentError, AlreadyResolvedError: There is nothing to acknowledge.
            AlertmanagerError: The silence was not created; nothing is recorded.
            DatabaseUnavailableError: Nothing is recorded, and the silence is expired again.
        """
        incident, _ = self._store.incident(number)
        if incident.resolved_at is not None:
            raise AlreadyResolvedError(number, incident.resolved_at)
        if self._alertmanager is None:
            self._store.acknowledge(number, person, comment)
            return None
        now = self._clock()
        until = now + duration
        reason = f"incident {number}" + (f": {comment}" if comment else "")
        # The incident keeps the original text; amtool prints a silence without escaping.
        silence = self._alertmanager.silence(
            incident.labels, visible_text(person), visible_text(reason, keep="\n"), now, until
        )
        try:
            replaced = self._store.acknowledge(number, person, comment, until=until, silence_id=silence)
        except Exception:
            self._expire(silence)
            raise
        if replaced is not None and replaced != silence:
            self._expire(replaced)
        return until

    def expire_silences(self) -> None:
        """Expire the silences of resolved incidents, so that the alert notifies again when it returns."""
        if self._alertmanager is None:
            return
        for number, silence in self._store.silences_to_expire():
            self._alertmanager.expire(silence)
            self._store.silence_expired(number)

    def _expire(self, silence: str) -> None:
        # A silence that remains is picked up by the poller as an acknowledgement by its creator, which is correct.
        with suppress(AlertmanagerError):
            if self._alertmanager is not None:
                self._alertmanager.expire(silence)
