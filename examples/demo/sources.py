"""The source of the demo's values: Prometheus, or without it the in-process endpoint."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable
from typing import Protocol

import httpx
from prometheus_client.parser import text_string_to_metric_families

from examples.demo.measures import WINDOW_SECONDS, Measure, Sample, Scrapes
from examples.demo.profile import PREVIOUS_INSTANCE
from trust_ops.stack.prometheus_api import PrometheusClient, QueryError
from trust_otel.semconv.definitions import Metric

_SELECTION = re.compile(r"^sum\((?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<matchers>.*)\})?\)$")
_WITHOUT_HISTORY = f'service_instance_id!="{PREVIOUS_INSTANCE}"'
_MATCHER = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Source(Protocol):
    """Returns the values of the table and the report."""

    name: str

    def measure(self, measure: Measure) -> float | None:
        """Current value of a measure."""

    def total(self, selection: str) -> float | None:
        """Value of `sum(name{label="value",...})`."""

    def series(self, metric: Metric) -> int:
        """Number of series of a declared metric, including a histogram's `_bucket`, `_count` and `_sum`."""


class PrometheusSource:
    """Reads from Prometheus, without the history."""

    name = "Prometheus"

    def __init__(self, url: str) -> None:
        self._client = PrometheusClient(url)

    def measure(self, measure: Measure) -> float | None:
        return self._value(measure.promql(_WITHOUT_HISTORY))

    def total(self, selection: str) -> float | None:
        name, matchers = _parts(selection)
        return self._value(f"sum({name}{{{','.join(filter(None, (matchers, _WITHOUT_HISTORY)))}}})")

    def series(self, metric: Metric) -> int:
        names = "|".join(_sample_names(metric))
        return int(self._value(f'count({{__name__=~"{names}",{_WITHOUT_HISTORY}}})') or 0)

    def _value(self, query: str) -> float | None:
        try:
            return self._client.value(query)
        except QueryError:
            return None


class EndpointSource:
    """Reads the in-process endpoint; keeps the scrapes of one window."""

    name = "the in-process endpoint"

    def __init__(self, url: str) -> None:
        self._url = url
        self._scrapes: deque[tuple[float, tuple[Sample, ...]]] = deque(maxlen=WINDOW_SECONDS)

    def measure(self, measure: Measure) -> float | None:
        now, samples = self._scrape()
        before, earlier = self._scrapes[0]
        return measure.from_scrapes(Scrapes(earlier, samples, now - before))

    def total(self, selection: str) -> float | None:
        name, matchers = _parts(selection)
        wanted = dict(_MATCHER.findall(matchers))
        values = [
            sample.value
            for sample in self._scrape()[1]
            if sample.name == name and all(sample.labels.get(label, "") == text for label, text in wanted.items())
        ]
        return sum(values) if values else None

    def series(self, metric: Metric) -> int:
        names = _sample_names(metric)
        return sum(sample.name in names for sample in self._scrape()[1])

    def _scrape(self) -> tuple[float, tuple[Sample, ...]]:
        if not self._scrapes or time.monotonic() - self._scrapes[-1][0] > 1:
            text = httpx.get(self._url, trust_env=False).text
            self._scrapes.append((time.monotonic(), tuple(_samples(text))))
        return self._scrapes[-1]


def _parts(selection: str) -> tuple[str, str]:
    """Name and label matchers of `sum(name{label="value",...})`."""
    found = _SELECTION.match(selection)
    if not found:
        raise ValueError(f'not of the form sum(name{{label="value"}}): {selection}')
    return found["name"], found["matchers"] or ""


def _samples(text: str) -> Iterable[Sample]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield Sample(sample.name, sample.labels, sample.value)


def _sample_names(metric: Metric) -> tuple[str, ...]:
    name = metric.prometheus_name
    return tuple(f"{name}_{part}" for part in ("bucket", "count", "sum")) if metric.buckets else (name,)
