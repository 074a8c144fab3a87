"""Keeps a failure of an instrumentation away from the service."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar

from trust_otel.metrics.recorder import Recorder


class _Recording(Protocol):
    _recorder: Recorder


_Recorder = TypeVar("_Recorder", bound=_Recording)


def contained(method: Callable[..., None]) -> Callable[..., None]:
    """Decorate a method that must not raise into the service: what it raises counts as lost."""

    @wraps(method)
    def safe(self: _Recorder, *args: Any) -> None:
        try:
            method(self, *args)
        except Exception:
            self._recorder.count_internal_error()

    return safe
