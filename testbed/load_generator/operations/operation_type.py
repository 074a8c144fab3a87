from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from testbed.load_generator.state import Operation, State


class OperationType(NamedTuple):
    """A type of operation.

    Attributes:
        weight: Frequency relative to the other types.
        run: Executes the operation.
        may_alert: Whether it may cause an alert. Calm traffic leaves these out.
    """

    weight: float
    run: Callable[[State, Operation], Awaitable[None]]
    may_alert: bool = False
