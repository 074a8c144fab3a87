"""Keeps an endpoint that does not accept exports from filling the service's log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

REPEAT_SECONDS = 300.0

# Where the OTLP exporters of 1.45 log each failed attempt, and trust-otel what an endpoint rejected.
LOGGERS = (
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "trust_otel.export.otlp",
)


class Repeats(logging.Filter):
    """Lets a message pass once in five minutes, whatever its numbers, for each logger and what it is about."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        now = self._clock()
        # The exporters of gRPC share a logger, and name the signal first.
        about = record.args[0] if isinstance(record.args, tuple) and record.args else None
        message = (record.name, str(record.msg), about if isinstance(about, str) else "")
        last = self._said.get(message)
        if last is not None and now - last < REPEAT_SECONDS:
            return False
        self._said[message] = now
        return True


def quieten() -> None:
    """Log a failure to export once in five minutes, not at every attempt."""
    repeats = Repeats()
    for name in LOGGERS:
        logger = logging.getLogger(name)
        for old in [one for one in logger.filters if isinstance(one, Repeats)]:
            logger.removeFilter(old)
        logger.addFilter(repeats)
