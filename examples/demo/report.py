"""What the demo saw, against what the simulation knows that it caused."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from examples.demo.sources import Source
from trust_otel.semconv.metrics import ALL as ALL_METRICS


@dataclass(frozen=True)
class Report:
    """The demo's report.

    Attributes:
        read_from: Where the numbers were read.
        addresses: Where each part of the demo listens.
        families: Declared metric to its number of series.
        truth: PromQL selection to the simulation's total.
        prometheus: The same selections to the values that were read; `None` where there was none.
        different: The selections whose two values differ.
        settled_seconds: Seconds after the last request until nothing differed any more, or until the demo gave up.
    """

    read_from: str
    addresses: Mapping[str, str]
    families: Mapping[str, int]
    truth: Mapping[str, float]
    prometheus: Mapping[str, float | None]
    different: list[str]
    settled_seconds: float

    def as_json(self) -> dict[str, object]:
        """The report as it is written to a file."""
        return asdict(self)


def settle(
    source: Source, addresses: Mapping[str, str], truth: Mapping[str, float], timeout: float, tick: Callable[[], None]
) -> Report:
    """Read until everything has arrived: until each value equals the truth, or the seconds of the timeout are over."""
    started = time.monotonic()
    while True:
        read = {selection: source.total(selection) for selection in truth}
        different = [selection for selection, total in truth.items() if (read[selection] or 0) != total]
        elapsed = time.monotonic() - started
        if not different or elapsed > timeout:
            break
        tick()
        time.sleep(0.5)
    return Report(
        read_from=source.name,
        addresses=addresses,
        families={metric.name: source.series(metric) for metric in ALL_METRICS.values()},
        truth=truth,
        prometheus=read,
        different=different,
        settled_seconds=round(elapsed, 1),
    )
