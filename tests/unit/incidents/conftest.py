"""Incidents in a real SQLite file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.incidents.notifications import Clock, payload
from trust_ops.incidents.database import Database
from trust_ops.incidents.payload import parse
from trust_ops.incidents.store import Store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'incidents.db'}")
    yield made
    made.close()


@pytest.fixture
def store(database: Database, clock: Clock) -> Store:
    return Store(database, clock)


@pytest.fixture
def deliver(store: Store) -> Callable[..., dict[str, int]]:
    """Deliver alerts; returns the number of alerts by outcome."""
    return lambda *alerts, **more: dict(store.deliver(parse(payload(*alerts, **more))))
