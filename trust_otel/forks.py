"""Runs what a forked process does with what it inherits, in a fixed order.

"What a forked process inherits" in docs/behaviour.md lists every lock, thread, socket, file and handle of trust-otel,
with what the child does with it. A test compares that list with the code.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Any, TypeVar
from weakref import WeakMethod, WeakSet

from trust_otel.log_safe import error_location

_logger = logging.getLogger(__name__)

_Lock = TypeVar("_Lock")


class Step(IntEnum):
    """What a forked process does, in this order; it releases the locks before."""

    STATE = 1
    """Counts from 0, and forgets what only its parent has, such as connections."""
    THREADS = 2
    """Starts its own threads, which record."""
    SETUP = 3
    """Sets up telemetry, which the fork server of multiprocessing has not: what it makes must not be restarted."""


_locks: WeakSet[Any] = WeakSet()
_functions: list[tuple[Step, Callable[[], Callable[[], None] | None]]] = []


def released_in_child(lock: _Lock) -> _Lock:
    """The same lock of `threading`, which a forked process releases: a thread that only its parent has may hold it."""
    _locks.add(lock)
    return lock


def in_child(step: Step, function: Callable[[], None]) -> None:
    """Call a function in each forked process. A bound method does not keep its object alive."""
    if hasattr(function, "__self__"):
        _functions.append((step, WeakMethod(function)))
    else:
        _functions.append((step, lambda: function))


def release(lock: Any) -> None:
    """Release a lock, event or condition of `threading` in a forked process."""
    # The standard library does the same with its own.
    lock._at_fork_reinit()


def identity(descriptor: int) -> tuple[int, int]:
    """Device and number of the file behind a file descriptor."""
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def close_inherited(descriptor: int, known: tuple[int, int]) -> None:
    """Close a file descriptor, unless the program has closed it, as a daemon does, and may have reused its number."""
    with suppress(OSError):
        if identity(descriptor) == known:
            os.close(descriptor)


def _after_fork() -> None:
    for lock in tuple(_locks):
        release(lock)
    _functions[:] = [(step, reference) for step, reference in _functions if reference() is not None]
    for _, reference in sorted(_functions, key=lambda entry: entry[0]):
        function = reference()
        if function is not None:
            _call(function)


def _call(function: Callable[[], None]) -> None:
    try:
        function()
    except Exception as error:
        # The others must run all the same.
        _logger.error("trust-otel: a forked process may export wrong counts (%s)", error_location(error))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
