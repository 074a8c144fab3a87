"""The demo's report: totals in Prometheus, compared with the expected totals of the load generator."""

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
        read_from: Source of the values.
        addresses: Where each part of the demo listens.
        families: Number of series of each declared metric.
        expected_totals: Expected value of each PromQL selector.
        prometheus: Value read for each of these selectors; `None` if there was none.
        different: The selectors whose values differ.
        settled_seconds: Seconds from the last request until all values were equal, or until the timeout.
    """

    read_from: str
    addresses: Mapping[str, str]
    families: Mapping[str, int]
    expected_totals: Mapping[str, float]
    prometheus: Mapping[str, float | None]
    different: list[str]
    settled_seconds: float

    def as_json(self) -> dict[str, object]:
        """The report as it is written to a file."""
        return asdict(self)


def settle(
    source: Source,
    addresses: Mapping[str, str],
    expected_totals: Mapping[str, float],
    timeout: float,
    tick: Callable[[], None],
) -> Report:
    """Read until all values equal the expected totals, at most `timeout` seconds."""
    started = time.monotonic()
    while True:
        read = {selection: source.total(selection) for selection in expected_totals}
        different = [selection for selection, total in expected_totals.items() if (read[selection] or 0) != total]
        elapsed = time.monotonic() - started
        if not different or elapsed > timeout:
            break
        tick()
        time.sleep(0.5)
    return Report(
        read_from=source.name,
        addresses=addresses,
        families={metric.name: source.series(metric) for metric in ALL_METRICS.values()},
        expected_totals=expected_totals,
        prometheus=read,
        different=different,
        settled_seconds=round(elapsed, 1),
    )
