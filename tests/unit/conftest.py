"""Unit tests start no program; tests that do are integration tests."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parent
_STARTS = frozenset({"os.exec", "os.posix_spawn", "os.system", "subprocess.Popen"})
"""Audit events of the standard library. A fork of the test process is not one: it runs no other program."""

_current: list[str] = []


def _no_program(event: str, arguments: tuple[object, ...]) -> None:
    if event in _STARTS and _current:
        # Not an Exception, which the tested code might catch.
        pytest.fail(f"{_current[-1]} starts a program: it belongs to tests/integration ({event})")


sys.addaudithook(_no_program)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a unit test that starts a program, also in its fixtures."""
    # pytest calls this hook for tests in other folders too.
    if not item.path.is_relative_to(_FOLDER):
        return (yield)
    _current.append(item.nodeid)
    try:
        return (yield)
    finally:
        _current.pop()
