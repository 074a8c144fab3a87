"""A token bucket for every client address, in bounded memory."""

from __future__ import annotations

import time
from collections import OrderedDict

from trust_otel import get_metrics

metrics = get_metrics()


class RateLimit:
    """Allows bursts of `burst` requests per address, and `per_second` requests on average."""

    def __init__(self, name: str, *, burst: int, per_second: float, addresses: int = 10_000) -> None:
        self._name = name
        self._burst = burst
        self._per_second = per_second
        self._addresses = addresses
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admits(self, address: str) -> bool:
        now = time.monotonic()
        tokens, filled_at = self._buckets.pop(address, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - filled_at) * self._per_second)
        admitted = tokens >= 1
        self._buckets[address] = (tokens - 1 if admitted else tokens, now)
        if len(self._buckets) > self._addresses:
            self._buckets.popitem(last=False)
        if not admitted:
            metrics.record_rate_limited(self._name)
        return admitted
