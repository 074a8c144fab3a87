"""Functions and methods of libraries that are replaced by measured ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any


class Patches:
    """The replacements that one instrumentor made.

    A replacement is a plain function with the name, documentation and signature of the original, so that callers,
    servers and other instrumentations that inspect it see no difference.

    Attributes:
        active: Whether the replacements measure. One that cannot be removed, because another instrumentation wrapped
            it in turn, has to call the original and do nothing else from then on.
    """

    def __init__(self) -> None:
        self.active = True
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    def replace(self, owner: Any, name: str, measured: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Replace an attribute of a module or a class by what `measured` makes of it.

        Raises:
            KeyError: The owner does not define the attribute itself.
        """
        defined = vars(owner)[name]
        # Not `defined`: a wrapper that another instrumentation put there finds its instance only when bound.
        original = getattr(owner, name)
        replacement = wraps(original)(measured(original))
        # `inspect.getfullargspec` does not follow `__wrapped__`.
        replacement.__signature__ = signature(original)  # type: ignore[attr-defined]
        setattr(owner, name, replacement)
        self._replaced.append((owner, name, defined, replacement))

    def restore(self) -> None:
        """Put the originals back, except beneath the wrapper of another instrumentation."""
        self.active = False
        while self._replaced:
            owner, name, defined, replacement = self._replaced.pop()
            if vars(owner).get(name) is replacement:
                setattr(owner, name, defined)
