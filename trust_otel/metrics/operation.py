"""An operation that is measured from start to end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar

from trust_otel.metrics.decorated import decorated
from trust_otel.semconv.attributes import ERROR_TYPE

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Self = TypeVar("_Self", bound="Operation")


def error_type(error: BaseException) -> str:
    """Value of `error.type` for an exception: its class, with the module unless it is a built-in.

    Of an exception group, the class of the exceptions in it if they have the same.
    """
    kind = type(error)
    # By name, because before Python 3.11 a package has it.
    if any(base.__name__ == "BaseExceptionGroup" for base in kind.__mro__):
        kinds = _kinds_in(error)
        kind = kinds.pop() if len(kinds) == 1 else kind
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _kinds_in(group: Any) -> set[type[BaseException]]:
    kinds: set[type[BaseException]] = set()
    errors = [group]
    while errors:
        error = errors.pop()
        inner = getattr(error, "exceptions", None)
        if isinstance(inner, tuple):
            errors += inner
        else:
            kinds.add(type(error))
    return kinds


class Operation(ABC):
    """Measures a block (`with` and `async with`) or every call of a function or coroutine that it decorates.

    The outcome is `success`, unless `fail` was called (`failure`) or an exception leaves the block (`error`).
    Exceptions pass through unchanged.
    """

    _started = 0.0
    _reason: str | None = None

    def fail(self, reason: str) -> None:
        """Mark the operation as refused, such as `expired`; the reason becomes `error.type`."""
        self._reason = ERROR_TYPE.other if reason is None else reason

    @abstractmethod
    def _begin(self) -> None:
        """Record the start."""

    @abstractmethod
    def _end(self, seconds: float, outcome: str, reason: str | None) -> None:
        """Record the end."""

    def answered(self, result: object) -> None:  # noqa: B027 - only some operations are told by their result
        """Note what a decorated function returned, which says nothing of the outcome."""

    def outside(self) -> AbstractContextManager[None]:
        """Surrounds what the caller of a generator does between two items, which is no part of the operation."""
        return nullcontext()

    def __enter__(self: _Self) -> _Self:
        self._reason = None
        self._begin()
        self._started = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = perf_counter() - self._started
        if self._reason is not None:
            self._end(seconds, "failure", self._reason)
        elif error is not None:
            self._end(seconds, "error", error_type(error))
        else:
            self._end(seconds, "success", None)

    async def __aenter__(self: _Self) -> _Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: _Function) -> _Function:
        """Decorate a function, a coroutine function or a generator of either kind; calls may overlap."""
        return decorated(function, lambda _args, _kwargs: copy(self))

    def __copy__(self: _Self) -> _Self:
        # What `copy` does without this takes a quarter of the time of a decorated call.
        copied: _Self = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied
