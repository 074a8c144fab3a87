"""What every family of metrics has."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from trust_otel.recording.instruments import Instruments

_Parameters = ParamSpec("_Parameters")
_Family = TypeVar("_Family", bound="Family")


class Family:
    """A part of `TrustServiceMetrics`, which makes its instruments once."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments

    def count_internal_error(self) -> None:
        """Count a fault of an instrumentation in `trust.otel.dropped`, in place of raising it into the service."""
        self._instruments.dropped.count("internal_error")


def fail_open(
    method: Callable[Concatenate[_Family, _Parameters], None],
) -> Callable[Concatenate[_Family, _Parameters], None]:
    """Decorate a method of a family: whatever it is given, it raises nothing into the service."""

    @wraps(method)
    def safe(self: _Family, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception:
            self._instruments.dropped.count("internal_error")

    return safe


def outcome(success: bool) -> str:
    """Value of `trust.outcome` for something that either worked or was refused."""
    return "success" if success else "failure"
