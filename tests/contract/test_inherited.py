"""The list of what a forked process inherits is complete."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PACKAGE = _ROOT / "trust_otel"

_LOCKS = "Lock RLock Condition Event Semaphore BoundedSemaphore Barrier Queue SimpleQueue local"
_THREADS = "Thread Timer ThreadPoolExecutor ProcessPoolExecutor Popen register_at_fork"
_SOCKETS = (
    "socket socketpair create_connection create_server start_http_server wrap_socket HTTPServer ThreadingHTTPServer "
    "insecure_channel secure_channel Session PoolManager AsyncConnectionPool connect open_connection"
)
_FILES = "open fdopen pipe mmap memfd_create mkstemp NamedTemporaryFile TemporaryFile"
_INHERITED = frozenset(" ".join((_LOCKS, _THREADS, _SOCKETS, _FILES)).split())

_NOT_INHERITED = {
    # A signal of Celery.
    "export.shutdown: connect",
    # A span's event.
    "privacy.redaction.RedactedSpan: Event",
    # The registry's events.
    "semconv.events: Event",
    "semconv.generator: Event",
}


def _calls(source: str, module: str) -> Iterator[tuple[str, ast.Call]]:
    """The calls in a module, each with `module` or `module.Class` that it is in."""

    def visit(node: ast.AST, owner: str) -> Iterator[tuple[str, ast.Call]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call):
                yield owner, child
            inner = isinstance(child, ast.ClassDef) and owner == module
            yield from visit(child, f"{module}.{child.name}" if inner else owner)  # type: ignore[attr-defined]

    return visit(ast.parse(source), module)


def _name(call: ast.AST) -> str:
    called = getattr(call, "func", None)
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _made_in(source: str, module: str) -> list[str]:
    """What a module makes that a forked process inherits: `module.Class: callable`, or `module: callable`."""
    return [f"{owner}: {_name(call)}" for owner, call in _calls(source, module) if _name(call) in _INHERITED]


def _released_in(source: str, module: str) -> list[str]:
    """The locks of a module that a forked process releases."""
    return [
        f"{owner}: {_name(call.args[0])}"
        for owner, call in _calls(source, module)
        if _name(call) == "released_in_child" and call.args
    ]


def _everywhere(find: Callable[[str, str], list[str]]) -> set[str]:
    found: set[str] = set()
    for path in _PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(_PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        found.update(find(path.read_text(), module))
    return found


def _made() -> set[str]:
    return _everywhere(_made_in) - _NOT_INHERITED


def _listed() -> dict[str, str]:
    """What the document lists, with what the child does with it."""
    text = (_ROOT / "docs" / "behaviour.md").read_text()
    section = text.partition("### What a forked process inherits\n")[2].partition("\n#")[0]
    listed: dict[str, str] = {}
    for row in re.findall(r"^\| (`.*) \| (.*) \|$", section, re.MULTILINE):
        for owner, names in re.findall(r"`([\w.]+)`: ([\w, ]+)", row[0]):
            listed.update({f"{owner}: {name}": row[1] for name in names.split(", ")})
    return listed


def test_every_lock_thread_socket_file_and_handle_is_listed() -> None:
    assert _made() - _listed().keys() == set()


def test_everything_listed_exists() -> None:
    assert _listed().keys() - _made() == set()


def test_locks_are_released_as_listed() -> None:
    assert {key for key, action in _listed().items() if action.startswith("is released")} == _everywhere(_released_in)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import threading\n_lock = threading.Lock()", ["m: Lock"]),
        ("class A:\n    def f(self):\n        self.s = socket.create_server(('', 0))", ["m.A: create_server"]),
        ("def f():\n    return open('x')", ["m: open"]),
        ("x = forks.released_in_child(threading.RLock())", ["m: RLock"]),
    ],
)
def test_a_new_one_is_found(source: str, found: list[str]) -> None:
    assert _made_in(source, "m") == found
