"""Comparison of the clock with a time server, on which timestamps depend."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool

from trust_otel.monitors.clock.sntp import TimeServerError, measure


class Clock:
    """The clock of the host.

    Args:
        server: `host:port` of a time server; None to trust the clock.
        tolerance: Seconds by which the clock may differ.

    Attributes:
        is_exact: Whether the last comparison found that it does not differ by more.
    """

    def __init__(self, server: str | None, tolerance: float) -> None:
        self.is_exact = server is None
        self._server = server
        self._tolerance = tolerance

    async def compare(self) -> None:
        if self._server is not None:
            self.is_exact = await run_in_threadpool(_is_exact, self._server, self._tolerance)


def _is_exact(server: str, tolerance: float) -> bool:
    host, _, port = server.rpartition(":")
    try:
        return abs(measure(host, int(port)).offset) <= tolerance
    except TimeServerError:
        return False
