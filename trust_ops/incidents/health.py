"""Health check of the receiver: writes to its database, at most once every few seconds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import anyio.to_thread

from trust_ops.incidents.database import DatabaseUnavailableError

_logger = logging.getLogger(__name__)

# /healthz needs no token, so not every request may cause a write. Below the usual probe interval.
_FRESH_SECONDS = 2.0
_WAIT_SECONDS = 2.0


class Health:
    """The result of the last write.

    Args:
        write: Writes to the database. Raises DatabaseUnavailableError.
    """

    def __init__(self, write: Callable[[], None]) -> None:
        self._write = write
        self._running: asyncio.Task[str | None] | None = None
        self._finished_at = 0.0
        self._logged: str | None = None

    async def problem(self) -> str | None:
        """Why the database is not writable, without secrets; `None` when it is."""
        if self._running is None or (self._running.done() and time.monotonic() - self._finished_at > _FRESH_SECONDS):
            self._running = asyncio.create_task(self._try())
        try:
            # A hanging write continues, and the next request waits for it too.
            return await asyncio.wait_for(asyncio.shield(self._running), _WAIT_SECONDS)
        except asyncio.TimeoutError:
            return f"the database did not respond within {_WAIT_SECONDS:g} s"

    async def _try(self) -> str | None:
        try:
            await anyio.to_thread.run_sync(self._write, abandon_on_cancel=True)
        except DatabaseUnavailableError as error:
            self._log(str(error))
            return f"the database is not writable: {error.reason}"
        else:
            self._log(None)
            return None
        finally:
            self._finished_at = time.monotonic()

    def _log(self, problem: str | None) -> None:
        if problem is not None and problem != self._logged:
            _logger.error("trust-otel: the database is not writable: %s", problem)
        elif problem is None and self._logged is not None:
            _logger.info("trust-otel: the database is writable again")
        self._logged = problem
