"""Acknowledges incidents when they are acknowledged in PagerDuty."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock

from trust_ops.incidents.acknowledgement import Acknowledgements
from trust_ops.incidents.pagerduty import ACKNOWLEDGED, REASSIGNED, RESOLVED, TRIGGERED, WITHDRAWN, Event
from trust_ops.incidents.pages import PageEvent
from trust_ops.incidents.store import Store
from trust_ops.incidents.times import format_time, utc_now
from trust_ops.incidents.validation import InvalidError

_logger = logging.getLogger(__name__)

SILENCE_DURATION = timedelta(hours=2)
"""As by default for `trust-otel incidents ack`."""

# Longer than PagerDuty delivers an event again.
_MOST_APART = timedelta(hours=24)
# Alertmanager delivers again after a group_interval of 1 minute.
_DELIVERY = timedelta(minutes=2)


class NotYetRecordedError(RuntimeError):
    """Alertmanager has not delivered the alerts of a page yet; PagerDuty delivers the event again."""


class PagerDutyEvents:
    """Processes events of PagerDuty's incidents. A repeated or outdated event has no effect.

    Args:
        store: The incidents.
        acknowledgements: Acknowledges incidents.
        clock: The current time.
    """

    def __init__(
        self, store: Store, acknowledgements: Acknowledgements, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._acknowledgements = acknowledgements
        self._clock = clock
        # A redelivery of an event that is being processed must not create the silences a second time.
        self._lock = Lock()

    def process(self, event: Event) -> str:
        """Process an event; returns what it changed, for the response and the log.

        Raises:
            InvalidError: The time of the event is too far from ours, or it names no incident.
            NotYetRecordedError, AlertmanagerError, DatabaseUnavailableError: PagerDuty should deliver it again.
        """
        now = self._clock()
        # A time in the future would make all later events of the page outdated.
        if abs(now - event.occurred_at) > _MOST_APART:
            hours, when = _MOST_APART // timedelta(hours=1), format_time(event.occurred_at)
            raise InvalidError(
                f"event.occurred_at: {when} is more than {hours} hours from {format_time(now)}; check the clock"
            )
        handle = self._handler(event)
        if handle is None:
            return "ignored"
        if not event.data.id:
            raise InvalidError("event.data.id: missing")
        with self._lock:
            outcome = handle(event, PageEvent(event.data.id, event.occurred_at))
        _logger.info("trust-otel: PagerDuty's %s of %s: %s", event.event_type, event.data.id, outcome)
        return outcome

    def _handler(self, event: Event) -> Callable[[Event, PageEvent], str] | None:
        if event.event_type == TRIGGERED:
            return self._open
        if event.event_type == ACKNOWLEDGED or (event.event_type == RESOLVED and event.person is not None):
            # A resolution by an integration is Alertmanager's own.
            return self._acknowledge
        if event.event_type in WITHDRAWN or (event.event_type in REASSIGNED and event.data.status == "triggered"):
            return self._withdraw
        return None

    def _open(self, event: Event, page: PageEvent) -> str:
        matchers = event.matchers
        if "alertname" not in matchers:
            return "not a page of Alertmanager"
        # Nobody has acknowledged the new page.
        for earlier in self._store.open_page(page, matchers):
            self._acknowledgements.withdraw(earlier)
        return "page recorded"

    def _acknowledge(self, event: Event, page: PageEvent) -> str:
        if (reason := self._no_effect(page)) is not None:
            return reason
        found = self._store.paged_incidents(page)
        if not found.recorded and self._clock() - event.occurred_at < _DELIVERY:
            raise NotYetRecordedError("the alerts of this page are not recorded yet, try again")
        comment = f"{event.event_type.removeprefix('incident.')} in PagerDuty"
        self._acknowledgements.acknowledge_page(
            page, found.to_acknowledge, event.person or "PagerDuty", comment, SILENCE_DURATION
        )
        self._store.page_event_processed(page)
        return f"acknowledged {len(found.to_acknowledge)} incidents"

    def _withdraw(self, _: Event, page: PageEvent) -> str:
        if (reason := self._no_effect(page)) is not None:
            return reason
        withdrawn = self._acknowledgements.withdraw(page.page_id)
        self._store.page_event_processed(page)
        return f"withdrew the acknowledgement of {withdrawn} incidents"

    def _no_effect(self, page: PageEvent) -> str | None:
        last = self._store.last_page_event(page.page_id)
        if last is None:
            return "not a page of Alertmanager"
        return "already processed" if page.at <= last else None
