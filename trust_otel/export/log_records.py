"""Exports the service's log records without changing what the service writes to its console or files.

Upstream adds a handler to the root logger and replaces `logging.basicConfig`. With a handler there, `logging.warning()`
configures nothing, Python's handler of last resort stays silent, and frameworks such as Flask add no handler of their
own: the service's own output changes or disappears. Here the root logger stays as the service configures it.
"""

from __future__ import annotations

import logging
import logging.config
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from wrapt import wrap_function_wrapper

_exporting: list[logging.Handler] = []


@contextmanager
def root_logger_unchanged() -> Iterator[None]:
    """Within, handlers that OpenTelemetry adds to the root logger receive its records, but are not attached to it."""
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
        wrap_function_wrapper("logging", "Logger.callHandlers", _call_handlers)
    _exporting.append(handler)


def _call_handlers(wrapped: Callable[..., None], logger: logging.Logger, args: Any, kwargs: Any) -> None:
    try:
        wrapped(*args, **kwargs)
    finally:
        if _reaches_root(logger):
            record: logging.LogRecord = args[0] if args else kwargs["record"]
            for handler in _exporting:
                if record.levelno >= handler.level:
                    handler.handle(record)


def _reaches_root(logger: logging.Logger) -> bool:
    while logger.parent is not None and logger.propagate:
        logger = logger.parent
    return logger.parent is None
