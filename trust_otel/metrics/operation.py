"""An operation that is measured from start to end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, aclosing, nullcontext
from copy import copy
from functools import partial, wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar, cast

from trust_otel.semconv.attributes import ERROR_TYPE

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Self = TypeVar("_Self", bound="Operation")


def error_type(error: BaseException) -> str:
    """Value of `error.type` for an exception: its class, with the module unless it is a built-in."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class Operation(ABC):
    """Measures a block (`with` and `async with`) or every call of a function or coroutine that it decorates.

    The outcome is `success`, unless `fail` was called (`failure`) or an exception leaves the block (`error`).
    Exceptions pass through unchanged.
    """

    def __init__(self) -> None:
        self._started = 0.0
        self._reason: str | None = None

    def fail(self, reason: str) -> None:
        """Note that the operation worked and its answer is no, such as `expired`; the reason becomes `error.type`."""
        self._reason = ERROR_TYPE.other if reason is None else reason

    @abstractmethod
    def _begin(self) -> None:
        """Record the start."""

    @abstractmethod
    def _end(self, seconds: float, outcome: str, reason: str | None) -> None:
        """Record the end."""

    def _outside(self) -> AbstractContextManager[None]:
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
        for is_kind, measured in (
            (iscoroutinefunction, self._coroutine),
            (isasyncgenfunction, self._asynchronous_generator),
            (isgeneratorfunction, self._generator),
        ):
            if is_kind(function) or is_kind(type(function).__call__):
                return cast(_Function, wraps(function)(measured(function)))
        return cast(_Function, wraps(function)(self._function(function)))

    def _function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any, **kwargs: Any) -> Any:
            with copy(self):
                return function(*args, **kwargs)

        return measured

    def _coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def measured(*args: Any, **kwargs: Any) -> Any:
            with copy(self):
                return await function(*args, **kwargs)

        return measured

    def _generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any, **kwargs: Any) -> Any:
            with copy(self) as operation:
                return (yield from operation._stepped(function(*args, **kwargs)))

        return measured

    def _stepped(self, generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """The generator, as `yield from` would run it (PEP 380)."""
        step: Callable[[], Any] = partial(next, generator)
        while True:
            try:
                item = step()
            except StopIteration as stop:
                return stop.value
            try:
                with self._outside():
                    sent = yield item
            except GeneratorExit:
                generator.close()
                raise
            except BaseException as error:
                step = partial(generator.throw, error)
            else:
                step = partial(generator.send, sent)

    def _asynchronous_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def measured(*args: Any, **kwargs: Any) -> Any:
            with copy(self) as operation:
                async with aclosing(function(*args, **kwargs)) as items:
                    async for item in items:
                        with operation._outside():
                            yield item

        return measured
