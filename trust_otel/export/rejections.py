"""Passes on how many data points, spans and log records an OTLP endpoint rejected."""

from __future__ import annotations

from typing import Protocol
from weakref import WeakSet

_MOST = 2**31
"""Most that one response can reject: a wrong number must not make the counter too large to be exported."""


class Counter(Protocol):
    """Counts by reason."""

    def count(self, reason: str, number: int = 1, /) -> None: ...


counters: WeakSet[Counter] = WeakSet()
"""What counts rejections, in this process."""


def count_rejected(number: int) -> None:
    """Count what one response rejected."""
    if number > 0:
        for counter in tuple(counters):
            counter.count("rejected", min(number, _MOST))
