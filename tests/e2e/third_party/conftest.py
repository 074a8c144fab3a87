"""These tests install large programs, so they run only with `make test-third-party`."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that the make target gives."""
    parser.addoption(
        "--third-party-table", metavar="FILE", help="run the third-party programs, and write their table here"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip without the option."""
    if config.getoption("--third-party-table", None):
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="run with `make test-third-party`"))
