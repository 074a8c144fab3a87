"""Acknowledges incidents: creates a silence in Alertmanager, which stops paging, and adds it to the timeline."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from trust_ops.incidents.alertmanager import ESCALATION_LEVEL, ActiveAlerts, Alertmanager, AlertmanagerError
from trust_ops.incidents.pages import PageEvent
from trust_ops.incidents.store import AlreadyResolvedError, NoSuchIncidentError, Store
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

    def acknowledge(
        self,
        number: int,
        person: str,
        comment: str,
        duration: timedelta,
        *,
        page: PageEvent | None = None,
        notified_levels: Collection[str] = (),
    ) -> datetime | None:
        """Silence the alert of an incident and record who acknowledged it; returns the end of the silence.

        Args:
            number: The incident.
            person: Who acknowledges it.
            comment: Their comment.
            duration: How long the silence lasts.
            page: The event of PagerDuty that acknowledges it. Then only its escalation is silenced, so that PagerDuty,
                which does not notify again, gets the resolution.
            notified_levels: With `page`, the levels of the escalation that are already notified.

        Raises:
            NoSuchIncidentError, AlreadyResolvedError: There is nothing to acknowledge.
            AlertmanagerError: The silence was not created; nothing is recorded.
            DatabaseUnavailableError: Nothing is recorded, and the silence is expired again.
        """
        incident, _ = self._store.incident(number)
        if incident.resolved_at is not None:
            raise AlreadyResolvedError(number, incident.resolved_at)
        if self._alertmanager is None:
            self._store.acknowledge(number, person, comment, page=page)
            return None
        now = self._clock()
        until = now + duration
        reason = f"incident {number}" + (f": {comment}" if comment else "")
        # The incident keeps the original text; amtool prints a silence without escaping.
        silence = self._alertmanager.silence(
            incident.labels,
            visible_text(person),
            visible_text(reason, keep="\n"),
            now,
            until,
            levels_except=None if page is None else notified_levels,
        )
        try:
            replaced = self._store.acknowledge(number, person, comment, until=until, silence_id=silence, page=page)
        except Exception:
            self._expire(silence)
            raise
        if replaced is not None and replaced != silence:
            self._expire(replaced)
        return until

    def acknowledge_page(
        self, page: PageEvent, numbers: Sequence[int], person: str, comment: str, duration: timedelta
    ) -> None:
        """Acknowledge the incidents of one of PagerDuty's: end their escalation.

        A level that is already notified is not silenced, so that everyone notified also gets the resolution.

        Raises:
            AlertmanagerError, DatabaseUnavailableError: Some may be acknowledged, and are skipped by a repetition.
        """
        active = self._alertmanager.active_alerts() if self._alertmanager is not None and numbers else {}
        levels = _notified_levels(active)
        for number in numbers:
            # It may have been resolved or deleted meanwhile.
            with suppress(NoSuchIncidentError, AlreadyResolvedError):
                labels = self._store.incident(number)[0].labels
                notified = levels[frozenset(labels.items())]
                self.acknowledge(number, person, comment, duration, page=page, notified_levels=notified)

    def withdraw(self, page_id: str) -> int:
        """Withdraw the acknowledgements of one of PagerDuty's incidents; returns how many.

        Raises:
            AlertmanagerError, DatabaseUnavailableError: Some are not withdrawn.
        """
        acknowledged = self._store.acknowledged_by_page(page_id)
        for number, silence in acknowledged:
            if silence is not None and self._alertmanager is not None:
                self._alertmanager.expire(silence)
            self._store.withdraw(page_id, number, silence)
        return len(acknowledged)

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


def _notified_levels(active: ActiveAlerts) -> defaultdict[frozenset[tuple[str, str]], set[str]]:
    """The levels of escalation that are notified, by the labels of the alert."""
    levels: defaultdict[frozenset[tuple[str, str]], set[str]] = defaultdict(set)
    for seen in active.values():
        labels = dict(seen.alert.labels)
        level = labels.pop(ESCALATION_LEVEL, None)
        if level is not None and not seen.silences and not seen.inhibited:
            levels[frozenset(labels.items())].add(level)
    return levels
