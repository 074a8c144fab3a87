"""The service package does not import packages for operators, tests or development."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_OTHERS = {"trust_ops", "testbed", "tools", "monitoring", "examples", "benchmarks", "tests"}


def _imported(file: Path) -> set[str]:
    """Top-level packages imported by a file, including imports in functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [("trust_otel", _OTHERS), ("trust_ops", _OTHERS - {"trust_ops"})],
)
def test_wheel_does_not_import_packages_outside_of_it(package: str, forbidden: set[str]) -> None:
    files = sorted((_ROOT / package).rglob("*.py"))
    assert files
    assert {str(file): names for file in files if (names := _imported(file) & forbidden)} == {}
