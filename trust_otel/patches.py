"""Replaces functions and methods of libraries, and restores them."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import update_wrapper
from inspect import signature
from operator import attrgetter
from types import FunctionType, ModuleType
from typing import Any, TypeVar

from wrapt import BoundFunctionWrapper, FunctionWrapper

_logger = logging.getLogger(__name__)

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Patches:
    """The replacements of one instrumentor.

    A replacement looks like the original to `inspect`, and fails like it when called with wrong arguments.

    Attributes:
        active: False after `restore`. A replacement that could not be removed, because another instrumentation wrapped
            it, must then only call the original.
    """

    def __init__(self) -> None:
        self.active = True
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    def replace(self, owner: Any, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Replace an attribute of a module or a class with the result of `wrap(original)`.

        Raises:
            KeyError: The owner does not define the attribute itself.
        """
        defined = vars(owner)[name]
        # Not `defined`: a wrapper of another instrumentation finds its instance only when bound.
        original = getattr(owner, name)
        replacement = _replacement(original, wrap(original))
        for place in (owner, _defining_module(original)):
            if vars(place).get(name) is defined:
                set_attribute(place, name, replacement)
                self._replaced.append((place, name, defined, replacement))

    def replace_in(
        self, module: ModuleType, owner: str, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        """Replace an attribute of a class of a module, or of the module itself if `owner` is empty.

        Does nothing after `restore`, nor if this version of the module does not have it.
        """
        if not self.active:
            return
        try:
            self.replace(getattr(module, owner) if owner else module, name, wrap)
        except Exception as error:
            _logger.debug("trust-otel: %s.%s.%s is not measured: %s", module.__name__, owner, name, error)

    def restore(self) -> None:
        """Restore the originals, except where another instrumentation wrapped a replacement."""
        self.active = False
        while self._replaced:
            owner, name, defined, replacement = self._replaced.pop()
            if vars(owner).get(name) is replacement:
                set_attribute(owner, name, defined)


def imitates(original: Callable[..., Any]) -> Callable[[_Function], _Function]:
    """Decorate a function with the name, documentation and signature of another, which it replaces."""

    def decorate(function: _Function) -> _Function:
        update_wrapper(function, original)
        # `inspect.getfullargspec` does not follow `__wrapped__`. Not every function has a signature.
        with suppress(Exception):
            function.__signature__ = signature(original)  # type: ignore[attr-defined]
        return function

    return decorate


def set_attribute(owner: Any, name: str, value: object) -> None:
    """Set an attribute, also of a class that an extension module defines.

    Raises:
        TypeError: It cannot be set.
    """
    try:
        setattr(owner, name, value)
    except TypeError:
        if type(owner) is not type or not getattr(sys, "_is_gil_enabled", lambda: True)():
            raise
        _set_in_extension_type(owner, name, value)


def _set_in_extension_type(owner: type, name: str, value: object) -> None:
    # Such a class refuses the assignment only: its namespace is a dict like that
    # of every class, behind a read-only view.
    # Imported here: other services need no `ctypes`.
    import ctypes

    namespace = next(each for each in gc.get_referents(vars(owner)) if type(each) is dict)
    namespace[name] = value
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(owner))
    if vars(owner).get(name) is not value:
        raise TypeError(f"cannot set {name!r} of {owner.__qualname__}")


def _defining_module(function: Callable[..., Any]) -> Any:
    """The module that a function is pickled by, which may differ from the one that makes it public."""
    return sys.modules.get(getattr(function, "__module__", None) or "", sys)


def _replacement(original: Callable[..., Any], measured: Callable[..., Any]) -> Callable[..., Any]:
    # A wrapper of another instrumentation has the class of the function that it wraps.
    if isinstance(original, FunctionType):
        return imitates(original)(measured)

    def call(_wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        return measured(*args, **kwargs) if instance is None else measured(instance, *args, **kwargs)

    return _CompiledMethod(original, call)


class _CopiedByName:
    """Copied and pickled by name, like a method that is not written in Python."""

    __wrapped__: Any

    def __reduce_ex__(self, protocol: Any) -> Any:
        reduced = self.__wrapped__.__reduce_ex__(protocol)
        if not isinstance(reduced, str):
            return reduced
        # A method of Cython is pickled by name only, for which each access would have to give the same object.
        owner, _, name = reduced.rpartition(".")
        return getattr, (attrgetter(owner)(sys.modules[self.__wrapped__.__module__]), name)

    def __copy__(self) -> _CopiedByName:
        return self

    def __deepcopy__(self, memo: object) -> _CopiedByName:
        return self


class _BoundCompiledMethod(_CopiedByName, BoundFunctionWrapper):  # type: ignore[type-arg]  # generic in the stubs only
    pass


class _CompiledMethod(_CopiedByName, FunctionWrapper):  # type: ignore[type-arg]  # generic in the stubs only
    """Replaces a method that is not written in Python, which `inspect` distinguishes from a function."""

    __bound_function_wrapper__ = _BoundCompiledMethod
