"""The measures of the live table: each as PromQL, and as the same computation on two scrapes.

The second form is for machines without Prometheus, so that the table has the same rows there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Protocol

WINDOW_SECONDS = 30


@dataclass(frozen=True)
class Sample:
    """One sample of a scrape."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Scrapes:
    """Two scrapes and the seconds between them."""

    earlier: tuple[Sample, ...]
    later: tuple[Sample, ...]
    seconds: float


class Measure(Protocol):
    """One number about the service."""

    def promql(self, matcher: str) -> str:
        """The query over the series that the matcher selects; its result is empty or NaN without data."""

    def from_scrapes(self, scrapes: Scrapes) -> float | None:
        """The same number without Prometheus."""


@dataclass(frozen=True)
class Sum:
    """Current sum over the series of a name; each label's value matches a regular expression."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def selector(self, matcher: str) -> str:
        """The series selector, with one more matcher."""
        matchers = ",".join([*(f'{label}=~"{pattern}"' for label, pattern in self.labels.items()), matcher])
        return f"{self.name}{{{matchers}}}"

    def promql(self, matcher: str) -> str:
        return f"sum({self.selector(matcher)})"

    def from_scrapes(self, scrapes: Scrapes) -> float | None:
        values = [sample.value for sample in self.matching(scrapes.later)]
        return sum(values) if values else None

    def matching(self, samples: Iterable[Sample]) -> list[Sample]:
        """The samples of the sum."""
        return [
            sample
            for sample in samples
            if sample.name == self.name
            and all(re.fullmatch(pattern, sample.labels.get(label, "")) for label, pattern in self.labels.items())
        ]


@dataclass(frozen=True)
class Rate:
    """Increase per second of a sum of counters."""

    counter: Sum

    def promql(self, matcher: str) -> str:
        return f"sum(rate({self.counter.selector(matcher)}[{WINDOW_SECONDS}s]))"

    def from_scrapes(self, scrapes: Scrapes) -> float | None:
        later = sum(sample.value for sample in self.counter.matching(scrapes.later))
        earlier = sum(sample.value for sample in self.counter.matching(scrapes.earlier))
        return (later - earlier) / scrapes.seconds if scrapes.seconds else None


@dataclass(frozen=True)
class Share:
    """One rate as a part of another."""

    part: Rate
    whole: Rate

    def promql(self, matcher: str) -> str:
        return f"({self.part.promql(matcher)} or vector(0)) / {self.whole.promql(matcher)}"

    def from_scrapes(self, scrapes: Scrapes) -> float | None:
        part, whole = self.part.from_scrapes(scrapes), self.whole.from_scrapes(scrapes)
        return part / whole if part is not None and whole else None


@dataclass(frozen=True)
class Quantile:
    """A quantile of a histogram, interpolated within its bucket."""

    q: float
    histogram: str

    def promql(self, matcher: str) -> str:
        buckets = f"{self.histogram}_bucket{{{matcher}}}"
        return f"histogram_quantile({self.q}, sum by (le) (rate({buckets}[{WINDOW_SECONDS}s])))"

    def from_scrapes(self, scrapes: Scrapes) -> float | None:
        counts: dict[float, float] = {}
        for sign, samples in ((1, scrapes.later), (-1, scrapes.earlier)):
            for sample in Sum(f"{self.histogram}_bucket").matching(samples):
                bound = float(sample.labels["le"])
                counts[bound] = counts.get(bound, 0) + sign * sample.value
        rank = self.q * counts.get(inf, 0)
        if not rank:
            return None
        for (low, below), (high, upto) in pairwise([(0.0, 0.0), *sorted(counts.items())]):
            if upto >= rank:
                return low if high == inf else low + (high - low) * (rank - below) / (upto - below)
        return None
