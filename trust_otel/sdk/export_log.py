"""Keeps an absent Collector from filling the service's log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

REPEAT_SECONDS = 300.0

# Where the OTLP exporters of 1.45 log each failed attempt.
_LOGGERS = (
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
)


class Repeats(logging.Filter):
    """Lets a message pass once in five minutes, whatever its arguments."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        now = self._clock()
        last = self._said.get(str(record.msg))
        if last is not None and now - last < REPEAT_SECONDS:
            return False
        self._said[str(record.msg)] = now
        return True


def quieten() -> None:
    """Say once, not at every attempt, that nobody takes the metrics."""
    repeats = Repeats()
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(repeats)
