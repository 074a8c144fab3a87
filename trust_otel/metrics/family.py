"""What every family of metrics has."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, Concatenate, ParamSpec, TypeVar

from trust_otel.recording.instruments import Instruments
from trust_otel.shown import place_of

_Parameters = ParamSpec("_Parameters")
_Family = TypeVar("_Family", bound="Family")


class Family:
    """Metrics on one subject, a part of the `Recorder`; creates its instruments once."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments


def fail_open(
    method: Callable[Concatenate[_Family, _Parameters], None],
) -> Callable[Concatenate[_Family, _Parameters], None]:
    """Decorate a method of a family: whatever it is given, it raises nothing into the service."""

    @wraps(method)
    def safe(self: _Family, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:
            fault = error
            self._instruments.dropped.report(
                "internal_error", method.__name__, lambda: _explanation(method, fault, (self, *args), kwargs)
            )

    return safe


def _explanation(
    method: Callable[..., None], error: Exception, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> str:
    accepted = signature(method)
    try:
        accepted.bind(*arguments, **keywords)
    except TypeError:
        names = ", ".join(list(accepted.parameters)[1:])
        return f"{method.__name__} was called with arguments that do not fit; it takes {names}"
    return f"{method.__name__} failed: {place_of(error)}"


def outcome(success: bool) -> str:
    """Value of `trust.outcome` for something that either worked or was refused."""
    return "success" if success else "failure"
