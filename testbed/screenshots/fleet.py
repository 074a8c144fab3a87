"""A Prometheus with the seeded fleet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.fleet import RULE_LEVELS, SHOWN_SECONDS, STEP_SECONDS, record, seed
from trust_ops.stack import Inputs, Stack

_PROMETHEUS = "prometheus"


@dataclass(frozen=True)
class FleetPrometheus:
    """URL of the Prometheus, and the Unix times of the first and last sample."""

    url: str
    begin: int
    end: int


@contextmanager
def fleet(folder: Path, on_progress: Callable[[str], None]) -> Iterator[FleetPrometheus]:
    """Seed a Prometheus, evaluate the recording rules and start it. Raises StackError or CalledProcessError."""
    on_progress("seeding a fleet of three services with 50 instances each in two environments")
    configuration = folder / "configuration"
    configuration.mkdir(parents=True)
    # It scrapes nothing: all data is seeded.
    (configuration / "prometheus.yml").write_text("global: {}\n")
    end = int(time.time()) // STEP_SECONDS * STEP_SECONDS
    inputs = Inputs(prometheus_config=configuration)
    with Stack(folder / "stack", components=(_PROMETHEUS,), inputs=inputs, on_progress=on_progress) as stack:
        url = stack.up().prometheus
        data = stack.directory / _PROMETHEUS / "data"
        stack.stop(_PROMETHEUS)
        seed(data, end, folder)
        for _ in range(RULE_LEVELS):
            # Prometheus loads new blocks at its start.
            stack.start(_PROMETHEUS)
            record(url, data, end)
            stack.stop(_PROMETHEUS)
        stack.start(_PROMETHEUS)
        yield FleetPrometheus(url, end - SHOWN_SECONDS, end)
