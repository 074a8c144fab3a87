"""Comparison of the clock with a time server, on which timestamps depend."""

from __future__ import annotations

import time

from starlette.concurrency import run_in_threadpool

from trust_otel.monitors.clock.sntp import TimeServerError, measure

# The clock of a computer drifts by less than a millisecond in this time.
_VALID_SECONDS = 60


class Clock:
    """The clock of the host.

    Args:
        server: `host:port` of a time server; None to trust the clock.
        tolerance: Seconds by which the clock may differ.
    """

    def __init__(self, server: str | None, tolerance: float) -> None:
        self._server = server
        self._tolerance = tolerance
        self._exact_until = 0.0

    @property
    def is_exact(self) -> bool:
        """Whether the time server said so within the last minute, and nothing else since then."""
        return self._server is None or time.monotonic() < self._exact_until

    async def compare(self) -> None:
        if self._server is not None:
            await run_in_threadpool(self._compare, self._server)

    def _compare(self, server: str) -> None:
        host, _, port = server.rpartition(":")
        try:
            offset = measure(host, int(port)).offset
        except TimeServerError:
            return
        self._exact_until = time.monotonic() + _VALID_SECONDS if abs(offset) <= self._tolerance else 0.0
