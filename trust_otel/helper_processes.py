"""Processes that a program starts indirectly, through the standard library, and that run none of the program's code.

They inherit the environment, and with it `opentelemetry-instrument`. Nothing in them is worth measuring, so they should
start as fast, and run as few threads, as without us.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence

# The code that `multiprocessing` gives to `python -c`; also that of `loky`, which has a resource tracker of its own.
_RESOURCE_TRACKER = re.compile(r"from [\w.]+\.resource_tracker import main\b")
_FORK_SERVER = re.compile(r"from multiprocessing\.forkserver import main\b")

_TOOLS = frozenset({"compileall", "ensurepip", "json.tool", "pip", "py_compile", "tarfile", "venv", "zipfile"})
"""Modules that are run by `python -m`, and never run a service."""


def is_resource_tracker() -> bool:
    """Whether this process only frees what others leave behind."""
    return _runs_code(_RESOURCE_TRACKER)


def is_fork_server() -> bool:
    """Whether this process only forks the processes that run the program's code."""
    return _runs_code(_FORK_SERVER)


def is_tool() -> bool:
    """Whether this process installs, compiles or packs."""
    option, value = command(sys.orig_argv)
    return option == "m" and value in _TOOLS


def at_fork(before: Callable[[], None], in_child: Callable[[], None]) -> None:
    """Call `before` ahead of the first fork of this process, and `in_child` in each child, but not in theirs."""
    called: set[Callable[[], None]] = set()

    def once(function: Callable[[], None]) -> None:
        # A child has its parent's set, so it calls neither at its own forks.
        if function not in called:
            called.add(function)
            function()

    os.register_at_fork(before=lambda: once(before), after_in_child=lambda: once(in_child))


def command(arguments: Sequence[str]) -> tuple[str, str]:
    """`c` and the code, or `m` and the module, that the interpreter was started with; empty texts for a file."""
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
