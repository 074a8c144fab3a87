"""Acknowledging: a silence in Alertmanager, so that nobody else is called, and then a line in the timeline."""

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


class Desk:
    """Where people acknowledge incidents.

    Args:
        store: The incidents.
        alertmanager: Where silences are made; `None` to only record.
        clock: What time it is.
    """

    def __init__(
        self, store: Store, alertmanager: Alertmanager | None, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._alertmanager = alertmanager
        self._clock = clock

    def acknowledge(self, number: int, person: str, comment: str, duration: timedelta) -> datetime | None:
        """Silence the alert of an incident and record who has taken it; until when it is silent.

        Raises:
            NoSuchIncidentError, AlreadyResolvedError: There is nothing to acknowledge.
            AlertmanagerError: There is no silence; nothing is recorded.
            DatabaseAwayError: Nothing is recorded, and the silence is taken back.
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
        # The incident keeps what was written; amtool prints a silence as it is.
        silence = self._alertmanager.silence(
            incident.labels, visible_text(person), visible_text(reason, keep="\n"), now, until
        )
        try:
            replaced = self._store.acknowledge(number, person, comment, until=until, silence_id=silence)
        except Exception:
            self._take_back(silence)
            raise
        if replaced is not None and replaced != silence:
            self._take_back(replaced)
        return until

    def end_silences(self) -> None:
        """End the silences of resolved incidents, or the alert would fire unheard when it comes back."""
        if self._alertmanager is None:
            return
        for number, silence in self._store.silences_left():
            self._alertmanager.expire(silence)
            self._store.silence_ended(number)

    def _take_back(self, silence: str) -> None:
        # What is left of it then counts as an acknowledgement by whoever has made it, which is the truth.
        with suppress(AlertmanagerError):
            if self._alertmanager is not None:
                self._alertmanager.expire(silence)
