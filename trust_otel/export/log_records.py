"""Exports the service's log records without changing what the service writes to its console or files.

Upstream adds a handler to the root logger and replaces `logging.basicConfig`. With a handler there, `logging.warning()`
configures nothing, Python's handler of last resort stays silent, and frameworks such as Flask add no handler of their
own, so the output of the service changes or disappears. Here the root logger stays as the service configures it.
"""

from __future__ import annotations

import logging
import logging.config
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trust_otel.patches import Patches

_exporting: list[logging.Handler] = []
_patches = Patches()


@contextmanager
def root_logger_unchanged() -> Iterator[None]:
    """Detach handlers that OpenTelemetry adds to the root logger within; they still receive its records."""
    root = logging.getLogger()
    before = list(root.handlers)
    functions = (logging.basicConfig, logging.config.dictConfig, logging.config.fileConfig)
    try:
        yield
    finally:
        logging.basicConfig, logging.config.dictConfig, logging.config.fileConfig = functions
        for handler in root.handlers[:]:
            if handler not in before and type(handler).__module__.startswith("opentelemetry."):
                root.removeHandler(handler)
                _export_with(handler)


def _export_with(handler: logging.Handler) -> None:
    if not _exporting:
        _patches.replace(logging.Logger, "callHandlers", _exporting_records)
    _exporting.append(handler)


def _exporting_records(original: Callable[[logging.Logger, logging.LogRecord], None]) -> Callable[..., None]:
    def callHandlers(self: logging.Logger, record: logging.LogRecord) -> None:  # noqa: N802
        try:
            original(self, record)
        finally:
            if _reaches_root(self):
                for handler in _exporting:
                    if record.levelno >= handler.level:
                        handler.handle(record)

    return callHandlers


def _reaches_root(logger: logging.Logger) -> bool:
    while logger.parent is not None and logger.propagate:
        logger = logger.parent
    return logger.parent is None
