"""Events: what a counter counts, also as a log record of OpenTelemetry where log records are exported."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from os import environ
from typing import Final

from opentelemetry._logs import SeverityNumber, get_logger

from trust_otel import forks
from trust_otel.export.wanted import logs_wanted
from trust_otel.recording.instruments import BoundedCounter, PositionalLabels
from trust_otel.recording.labels import Labels
from trust_otel.recording.self_metrics import DroppedMeasurements
from trust_otel.security.client_address import AddressForm
from trust_otel.semconv.attributes import CLIENT_ADDRESS, TRUST_OUTCOME, TRUST_SEVERITY
from trust_otel.semconv.definitions import Event
from trust_otel.settings import Limits
from trust_otel.version import SCHEMA_URL, __version__

SCOPE: Final = "trust_otel.events"
"""Name of the instrumentation scope of the log records."""

_MINUTE: Final = 60

_ALL: Final[Mapping[str, str]] = {}

_SEVERITIES: Final = {
    "critical": SeverityNumber.ERROR,
    "warning": SeverityNumber.WARN,
    "info": SeverityNumber.INFO,
}


class EventLog:
    """Exports events as log records, at most a number of each kind in a minute.

    Args:
        kinds: Kinds of events that are exported.
        per_minute: Maximum number of events of a kind in a minute.
        address_form: The form in which addresses of clients are exported.
        dropped: Counts events beyond that.
    """

    def __init__(
        self, kinds: frozenset[str], per_minute: int, address_form: AddressForm, dropped: DroppedMeasurements
    ) -> None:
        self.kinds = kinds
        self._per_minute = per_minute
        self._address_form = address_form
        self._dropped = dropped
        self._logger = get_logger(SCOPE, __version__, schema_url=SCHEMA_URL)
        self._lock = forks.released_in_child(threading.Lock())
        self._minute = 0
        self._exported: Counter[str] = Counter()

    def emit(self, event: Event, labels: Labels, address: str | None) -> None:
        """Export an event, with the trace and span ids of the current span.

        Args:
            event: The event.
            labels: The labels under which it was counted.
            address: Address of the client, in its canonical form, if known.
        """
        if not self._is_within_limit(event.kind):
            self._dropped.count("event_limit")
            return
        attributes = dict(labels)
        shown = None if address is None else self._address_form.shown(address)
        if shown is not None:
            attributes[CLIENT_ADDRESS.name] = shown
        severity = _severity(labels)
        self._logger.emit(
            timestamp=time.time_ns(),
            severity_number=severity,
            severity_text=severity.name,
            body=event.brief.rstrip("."),
            attributes=attributes,
            event_name=event.name,
        )

    def _is_within_limit(self, kind: str) -> bool:
        minute = int(time.monotonic() // _MINUTE)
        with self._lock:
            if minute != self._minute:
                self._minute = minute
                self._exported.clear()
            self._exported[kind] += 1
            return self._exported[kind] <= self._per_minute


class EventCounter(PositionalLabels):
    """Counts events, and exports them with `happened`; a call only counts.

    Args:
        counter: Counts every event.
        names: Names of the attributes.
        event: The event.
        log: Where events are exported; `None` if they are not.
        only: Events with other labels are only counted.

    Attributes:
        exports: Whether events are exported. If not, a call costs less than `happened`.
    """

    __slots__ = ("_counter", "_event", "_log", "_only", "exports")

    def __init__(
        self, counter: BoundedCounter, *names: str, event: Event, log: EventLog | None, only: Mapping[str, str] = _ALL
    ) -> None:
        super().__init__(counter, *names)
        self._counter = counter
        self._event = event
        self._log = log if log is not None and event.kind in log.kinds else None
        self._only = only.items()
        self.exports = self._log is not None

    def happened(self, address: str | None, *values: object) -> None:
        """Count an event with these values of the attributes, and export it.

        Args:
            address: Address of the client, in its canonical form, if known.
            values: Values of the attributes.
        """
        if self._log is None:
            self(1, *values)
            return
        labels = self._counter.count(dict(zip(self._names, values, strict=True)))
        if self._only <= labels.items():
            self._log.emit(self._event, labels, address)


def event_log(limits: Limits, address_form: AddressForm, dropped: DroppedMeasurements) -> EventLog | None:
    """Where events are exported; `None` if they are not."""
    if not limits.events or not logs_wanted(environ):
        return None
    return EventLog(limits.events, limits.events_per_minute, address_form, dropped)


def _severity(labels: Labels) -> SeverityNumber:
    given = labels.get(TRUST_SEVERITY.name)
    if isinstance(given, str):
        return _SEVERITIES.get(given, SeverityNumber.WARN)
    return SeverityNumber.INFO if labels.get(TRUST_OUTCOME.name) == "success" else SeverityNumber.WARN
