"""Methods of the recorder's metric families by name: the public ones and those for instrumentations."""

import inspect
from collections.abc import Callable
from typing import Any

from trust_otel.metrics.family import Family
from trust_otel.metrics.recorder import Recorder

NAMES = frozenset(
    name
    for family in Family.__subclasses__()
    for name, _ in inspect.getmembers(family, inspect.isfunction)
    if not name.startswith("_")
)


def method_of(recorder: Recorder, name: str) -> Callable[..., Any]:
    """Return the method with this name; names are unique across families."""
    (method,) = [getattr(family, name) for family in recorder.families() if hasattr(family, name)]
    return method
