"""The guard of everything that runs inside the service's calls: a failure of trust-otel never reaches the service."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from trust_otel.log_safe import error_location
from trust_otel.recording.self_metrics import DroppedMeasurements


class _Guarded(Protocol):
    @property
    def _dropped(self) -> DroppedMeasurements: ...


_Self = TypeVar("_Self", bound=_Guarded)
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def fail_open(
    method: Callable[Concatenate[_Self, _Parameters], _Result],
) -> Callable[Concatenate[_Self, _Parameters], _Result | None]:
    """Decorate a method that must not raise into the service.

    An exception is counted in the object's `_dropped` as `internal_error`, logged once for each method, and the method
    returns `None`.
    """

    @wraps(method)
    def guarded(self: _Self, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result | None:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            report_failure(self._dropped, method, error, (self, *args), kwargs)
            return None

    return guarded


def report_failure(
    dropped: DroppedMeasurements,
    method: Callable[..., Any],
    error: Exception,
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
) -> None:
    """Count and log the failure of a method as `fail_open` does, where its frame would cost too much."""
    dropped.report(
        "internal_error",
        method.__qualname__,
        lambda: f"{method.__name__} {_reason(method, error, arguments, keywords)}",
    )


def _reason(method: Callable[..., Any], error: Exception, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    accepted = signature(method)
    try:
        accepted.bind(*arguments, **keywords)
    except TypeError:
        return f"was called with the wrong arguments; it takes {', '.join(list(accepted.parameters)[1:])}"
    return f"failed: {error_location(error)}"
