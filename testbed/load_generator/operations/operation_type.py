from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from testbed.load_generator.state import Operation, State


class OperationType(NamedTuple):
    """A kind of operation.

    Attributes:
        weight: How often it happens, relative to the others.
        run: Does it.
        alarming: Whether an alert may rightly follow, so that a calm simulation leaves it out.
    """

    weight: float
    run: Callable[[State, Operation], Awaitable[None]]
    alarming: bool = False
