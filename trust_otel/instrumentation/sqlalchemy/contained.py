"""Keeps a failure of a listener away from the service."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar

from trust_otel.metrics import TrustServiceMetrics


class _Listening(Protocol):
    _metrics: TrustServiceMetrics


_Listener = TypeVar("_Listener", bound=_Listening)


def contained(listener: Callable[..., None]) -> Callable[..., None]:
    """A listener that counts what it raises as lost, in place of raising it."""

    @wraps(listener)
    def safe(self: _Listener, *args: Any) -> None:
        try:
            listener(self, *args)
        except Exception:
            self._metrics.count_internal_error()

    return safe
