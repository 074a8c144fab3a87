"""Series that change linearly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trust_otel.semconv.definitions import Metric

Labels = Mapping[str, str]

# Counters started this long before the first sample.
_AGE_SECONDS = 3600


@dataclass(frozen=True)
class Course:
    """A series: its name and labels, its value at the first sample, and its change per second."""

    name: str
    labels: Labels
    first: float
    per_second: float = 0


def counter(name: str, labels: Labels, per_second: float) -> Course:
    """A counter that increases steadily."""
    return Course(name, labels, per_second * _AGE_SECONDS, per_second)


def histogram(metric: Metric, labels: Labels, per_second: float, mean: float) -> Iterator[Course]:
    """The series of a histogram of exponentially distributed values."""
    name = metric.prometheus_name
    for bound in metric.buckets:
        share = 1 - math.exp(-bound / mean)
        yield counter(f"{name}_bucket", {**labels, "le": f"{bound:g}"}, per_second * share)
    yield counter(f"{name}_bucket", {**labels, "le": "+Inf"}, per_second)
    yield counter(f"{name}_count", labels, per_second)
    yield counter(f"{name}_sum", labels, per_second * mean)
