"""Limits how often failed exports are logged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

REPEAT_SECONDS = 300.0

# The OTLP exporters (1.45) log each failed attempt, and trust-otel what an endpoint rejected.
LOGGERS = (
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "trust_otel.export.otlp",
)


class RateLimit(logging.Filter):
    """Passes a message once in 5 minutes, per logger and signal, regardless of the numbers in it."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last_passed: dict[tuple[str, str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        now = self._clock()
        # The gRPC exporters share a logger; their first argument is the signal.
        signal = record.args[0] if isinstance(record.args, tuple) and record.args else None
        message = (record.name, str(record.msg), signal if isinstance(signal, str) else "")
        last = self._last_passed.get(message)
        if last is not None and now - last < REPEAT_SECONDS:
            return False
        self._last_passed[message] = now
        return True


def rate_limit_export_errors() -> None:
    """Log the same export error once in 5 minutes, not at every attempt."""
    rate_limit = RateLimit()
    for name in LOGGERS:
        logger = logging.getLogger(name)
        for old in [each for each in logger.filters if isinstance(each, RateLimit)]:
            logger.removeFilter(old)
        logger.addFilter(rate_limit)
