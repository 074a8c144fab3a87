"""A Prometheus with a fleet, and the results of the recording rules."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.fleet import RULE_LEVELS, STEP_SECONDS, record, seed
from tests.support.preview_fixture import prometheus_with


@dataclass(frozen=True)
class Fleet:
    """URL of the Prometheus, and the time of the last sample."""

    url: str
    end: int


@contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """Seed a Prometheus, evaluate the recording rules and start it."""
    end = int(time.time()) // STEP_SECONDS * STEP_SECONDS
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    seed(data, end, folder)
    with recorded(folder, end) as running:
        yield running


@contextmanager
def recorded(folder: Path, end: int) -> Iterator[Fleet]:
    """Evaluate the rules over the data in the folder, and start a Prometheus with the results."""
    for _ in range(RULE_LEVELS):
        # Prometheus loads new blocks at its start.
        with prometheus_with(folder, "") as url:
            record(url, folder / "data", end)
    with prometheus_with(folder, "") as url:
        yield Fleet(url, end)
