"""Sources that settings name: certificates, databases, feeds, SLAs."""

from __future__ import annotations

import logging
import threading
from time import time

from trust_otel import forks
from trust_otel.metrics.family import Family
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Instruments
from trust_otel.semconv.metrics import TRUST_OTEL_SOURCE_LAST_READ, TRUST_OTEL_SOURCE_UP

_logger = logging.getLogger(__name__)


class SourceMetrics(Family):
    """Whether each source that a setting names could be read."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._source_up = instruments.gauge(TRUST_OTEL_SOURCE_UP)
        self._source_last_read = instruments.gauge(TRUST_OTEL_SOURCE_LAST_READ)
        self._source_problems: dict[tuple[str, str], str | None] = {}
        self._source_lock = forks.released_in_child(threading.Lock())

    @fail_open
    def record_source(self, name: str, *, kind: str, problem: str | None = None) -> None:
        """Record a read of a source; a problem is counted each time and logged once.

        Args:
            name: File, address or entry of the setting, without credentials.
            kind: `certificates`, `geoip`, `reputation`, `sla`, `business_metrics`, `clock`, `ct_feed` or
                `trust_lists`.
            problem: Why it could not be read, and what to do; `None` when it was read. It must contain no secret.
        """
        labels = {"trust.otel.source.kind": kind, "trust.otel.source.name": name}
        self._source_up.set(0 if problem else 1, labels)
        if problem:
            self._dropped.count("unreadable_source")
        else:
            self._source_last_read.set(time(), labels)
        with self._source_lock:
            before = self._source_problems.get((kind, name))
            self._source_problems[kind, name] = problem
        if problem and problem != before:
            _logger.warning("trust-otel: %s %s: %s", kind, name, problem)
        elif before and not problem:
            _logger.info("trust-otel: %s %s can be read again", kind, name)

    @fail_open
    def remove_source(self, name: str, *, kind: str) -> None:
        """Stop showing a source; its series end."""
        with self._source_lock:
            self._source_problems.pop((kind, name), None)
        for table in (self._source_up, self._source_last_read):
            table.remove({"trust.otel.source.kind": kind, "trust.otel.source.name": name})
