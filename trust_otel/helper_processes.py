"""Detects helper processes, which the standard library starts and which do not run code of the program.

They inherit the environment, and so `opentelemetry-instrument`. They need no telemetry, so they should start as fast,
and with as few threads, as without it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence

from trust_otel import forks

# The code that `multiprocessing` runs with `python -c`; `loky` has its own resource tracker.
_RESOURCE_TRACKER = re.compile(r"from [\w.]+\.resource_tracker import main\b")
_FORK_SERVER = re.compile(r"from multiprocessing\.forkserver import main\b")
_SPAWNED = re.compile(r"from multiprocessing\.spawn import spawn_main\b")

_TOOLS = frozenset({"compileall", "ensurepip", "json.tool", "pip", "py_compile", "tarfile", "venv", "zipfile"})
"""Modules for `python -m` that never run a service."""


def is_resource_tracker() -> bool:
    """Whether this process is a resource tracker of multiprocessing, which removes leaked resources."""
    return _runs_code(_RESOURCE_TRACKER)


def is_fork_server() -> bool:
    """Whether this process is a fork server of multiprocessing, which only forks worker processes."""
    return _runs_code(_FORK_SERVER)


def is_loading() -> bool:
    """Whether this process, which multiprocessing spawned, is still importing the code that it runs."""
    if not _runs_code(_SPAWNED):
        return False
    # Imported here: other processes may not need it.
    import multiprocessing

    return multiprocessing.parent_process() is None


def is_tool() -> bool:
    """Whether this process runs a tool of Python, such as pip."""
    option, value = command(sys.orig_argv)
    return option == "m" and value in _TOOLS


def at_fork(before: Callable[[], None], in_child: Callable[[], None]) -> None:
    """Call `before` before the first fork of this process, and `in_child` in each child, but not in its children."""
    called: set[Callable[[], None]] = set()

    def once(function: Callable[[], None]) -> None:
        # A child inherits the set, so it calls neither when it forks.
        if function not in called:
            called.add(function)
            function()

    os.register_at_fork(before=lambda: once(before))
    forks.in_child(forks.Step.SETUP, lambda: once(in_child))


def command(arguments: Sequence[str]) -> tuple[str, str]:
    """The option `c` with the code, or `m` with the module, of a Python command line; empty strings for a file."""
    rest = iter(arguments[1:])
    for argument in rest:
        if not argument.startswith("-") or argument in ("-", "--"):
            break
        # Options may be joined, as in `-Im module`; these four take a value.
        option = None if argument.startswith("--") else re.match("-[^cmWX]*([cmWX])(.*)", argument, re.DOTALL)
        if option or argument == "--check-hash-based-pycs":
            value = (option and option[2]) or next(rest, "")
            if option and option[1] in "cm":
                return option[1], value
    return "", ""


def _runs_code(wanted: re.Pattern[str]) -> bool:
    option, value = command(sys.orig_argv)
    return option == "c" and wanted.match(value) is not None
