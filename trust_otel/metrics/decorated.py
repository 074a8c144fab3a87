"""Measured functions, which look, bind, fail, copy and pickle like the functions that they measure."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextlib import AbstractContextManager
from functools import partial, reduce
from inspect import CO_COROUTINE, Signature, isasyncgenfunction, iscoroutinefunction, isgeneratorfunction, signature
from types import FunctionType
from typing import Any, Protocol, TypeVar, cast

from wrapt import BoundFunctionWrapper, FunctionWrapper

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Result = TypeVar("_Result")


class Measurement(AbstractContextManager["Measurement"], Protocol):
    """What measures one call, from the start of the function's body to its end."""

    def answered(self, result: object) -> None:
        """Note what the function returned."""

    def outside(self) -> AbstractContextManager[None]:
        """What is between two items of a generator, which is no part of the call."""


Begin = Callable[[tuple[Any, ...], Mapping[str, Any]], Measurement]
"""Makes the measurement of a call from its arguments, without `self`."""


def decorated(function: _Function, begin: Begin) -> _Function:
    """Measure every call of a function, a coroutine function or a generator of either kind; calls may overlap.

    Wrong arguments fail when the function is called, not when its result is awaited or iterated.
    """
    plain = getattr(function, "__func__", function)
    for is_kind, call in _KINDS:
        if is_kind(plain):
            return cast(_Function, _Decorated(function, partial(call, begin)))
        if is_kind(type(function).__call__):
            # An object of which only the method can tell that it has to be awaited or iterated.
            bound: Any = function.__call__  # type: ignore[operator]
            return cast(_Function, _Decorated(bound, partial(call, begin)))
    return cast(_Function, _Decorated(function, partial(_call, begin)))


def _call(begin: Begin, function: Callable[..., _Result], _instance: object, args: Any, kwargs: Any) -> _Result:
    with begin(args, kwargs) as measurement:
        result = function(*args, **kwargs)
        measurement.answered(result)
        return result


def _call_coroutine(begin: Begin, function: Callable[..., Any], _instance: object, args: Any, kwargs: Any) -> Any:
    if _is_native_coroutine(function):
        # Nothing of its body runs; but wrong arguments raise here and now, as without us.
        function(*args, **kwargs).close()
    return _named(_coroutine(begin, function, args, kwargs), function)


def _is_native_coroutine(function: Any) -> bool:
    while isinstance(function, partial):
        function = function.func
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & CO_COROUTINE)


async def _coroutine(begin: Begin, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    with begin(args, kwargs) as measurement:
        result = await function(*args, **kwargs)
        measurement.answered(result)
        return result


def _call_generator(begin: Begin, function: Callable[..., Any], _instance: object, args: Any, kwargs: Any) -> Any:
    return _named(_generator(begin(args, kwargs), function(*args, **kwargs)), function)


def _generator(measurement: Measurement, items: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """The generator, as `yield from` would run it (PEP 380)."""
    with measurement:
        step: Callable[[], Any] = partial(next, items)
        while True:
            try:
                item = step()
            except StopIteration as stop:
                measurement.answered(stop.value)
                return stop.value
            try:
                with measurement.outside():
                    sent = yield item
            except GeneratorExit:
                items.close()
                raise
            except BaseException as error:
                step = partial(items.throw, error)
            else:
                step = partial(items.send, sent)


def _call_async_generator(begin: Begin, function: Callable[..., Any], _instance: object, args: Any, kwargs: Any) -> Any:
    return _named(_async_generator(begin(args, kwargs), function(*args, **kwargs)), function)


async def _async_generator(measurement: Measurement, items: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
    with measurement:
        step: Callable[[], Coroutine[Any, Any, Any]] = items.__anext__
        while True:
            try:
                item = await step()
            except StopAsyncIteration:
                return
            try:
                with measurement.outside():
                    sent = yield item
            except GeneratorExit:
                await items.aclose()
                raise
            except BaseException as error:
                step = partial(items.athrow, error)
            else:
                step = partial(items.asend, sent)


def _named(made: Any, function: Callable[..., Any]) -> Any:
    """A coroutine or generator, under the name that warnings and tracebacks of asyncio give it."""
    made.__name__ = getattr(function, "__name__", made.__name__)
    made.__qualname__ = getattr(function, "__qualname__", made.__qualname__)
    return made


_KINDS: tuple[tuple[Callable[[Any], bool], Callable[..., Any]], ...] = (
    (iscoroutinefunction, _call_coroutine),
    (isasyncgenfunction, _call_async_generator),
    (isgeneratorfunction, _call_generator),
)


class _Imitation:
    __wrapped__: Any

    @property
    def __signature__(self) -> Signature:
        # Asked by `inspect.getfullargspec`, which does not follow `__wrapped__`.
        return signature(self.__wrapped__)

    def __reduce_ex__(self, protocol: Any) -> Any:
        wrapped = self.__wrapped__
        if isinstance(wrapped, FunctionType):
            return self._find_by_name(wrapped)
        return wrapped.__reduce_ex__(protocol)

    def _find_by_name(self, function: FunctionType) -> Any:
        return function.__qualname__

    def __copy__(self) -> _Imitation:
        return self

    def __deepcopy__(self, memo: object) -> _Imitation:
        return self


class _BoundDecorated(_Imitation, BoundFunctionWrapper):  # type: ignore[type-arg]  # generic in the stubs only
    def _find_by_name(self, function: FunctionType) -> Any:
        # What a class gives is another object each time, which `pickle` refuses.
        return _attribute, (function.__module__, function.__qualname__)


class _Decorated(_Imitation, FunctionWrapper):  # type: ignore[type-arg]  # generic in the stubs only
    __bound_function_wrapper__ = _BoundDecorated


def _attribute(module: str, path: str) -> Any:
    __import__(module)
    return reduce(getattr, path.split("."), sys.modules[module])
