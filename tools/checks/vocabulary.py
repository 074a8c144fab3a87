"""The known series: of the semantic convention registry, of exporters, and of recording rules."""

from __future__ import annotations

import difflib
import itertools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import yaml

from tools.checks.promql import Expression, seconds
from trust_otel.distro import DEFAULTS
from trust_otel.semconv import metrics
from trust_otel.semconv.definitions import Attribute, Metric
from trust_otel.semconv.prometheus import label_name
from trust_otel.semconv.resource import PROMOTED
from trust_otel.semconv.scraped import ScrapedMetric, read_scraped

PROMETHEUS_CONFIGURATION = Path(__file__).parents[2] / "monitoring" / "prometheus" / "prometheus.yml"

Kind = Literal["counter", "gauge"]


class UnknownSeriesError(LookupError):
    """There is no metric or recording rule with this name."""


@dataclass(frozen=True)
class Label:
    """A label of a series.

    Attributes:
        always: Whether every series has it.
        values: All possible values; None if unbounded.
    """

    always: bool = True
    values: frozenset[str] | None = None


@dataclass(frozen=True)
class Bounds:
    """The possible values: from `low` to `high`, inclusive, without 0 if `zero` is False."""

    low: float = -math.inf
    high: float = math.inf
    zero: bool = True


@dataclass(frozen=True)
class Series:
    """The series of one name.

    Attributes:
        name: Name in Prometheus.
        kind: Counter or gauge.
        labels: All labels that its series can have.
        interval: Seconds between samples.
        bounds: The possible values.
        buckets: Upper bounds of a histogram's buckets; for `_bucket` only.
        from_zero: False for a counter whose first sample already counts the first event.
        recordings: Labels and expressions of the recording rules; for recorded series only.
    """

    name: str
    kind: Kind
    labels: Mapping[str, Label]
    interval: float
    bounds: Bounds = Bounds()
    buckets: tuple[float, ...] = ()
    from_zero: bool = True
    recordings: tuple[tuple[Mapping[str, str], Expression], ...] = ()


@dataclass(frozen=True)
class Vocabulary:
    """All series by name; `evaluation_interval` and `lookback` delta in seconds."""

    series: Mapping[str, Series]
    evaluation_interval: float
    lookback: float = 300
    determined: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Labels determined by another label, by that label: an instance has one service and version, a pod one node."""

    def __getitem__(self, name: str) -> Series:
        """The series of a name. Raises UnknownSeriesError with similar names."""
        if name not in self.series:
            near = difflib.get_close_matches(name, self.series, n=3)
            hint = f"; similar: {', '.join(near)}" if near else ""
            raise UnknownSeriesError(f"unknown metric or recording rule {name}{hint}")
        return self.series[name]

    def with_series(self, added: Iterable[Series]) -> Vocabulary:
        """The vocabulary with additional series."""
        return replace(self, series={**self.series, **{series.name: series for series in added}})


def declared(configuration: Path = PROMETHEUS_CONFIGURATION) -> Vocabulary:
    """The series of services and exporters, with the intervals of Prometheus' configuration and the distribution."""
    settings = yaml.safe_load(configuration.read_text(encoding="utf-8"))
    usual = settings["global"]["scrape_interval"]
    intervals = {job["job_name"]: seconds(job.get("scrape_interval", usual)) for job in settings["scrape_configs"]}
    known = [series for metric in metrics.ALL.values() for series in _pushed(metric)]
    known += [_scraped(metric, intervals) for metric in read_scraped().values()]
    resource = frozenset(map(label_name, PROMOTED)) | {"job", "instance"}
    return Vocabulary(
        series={series.name: series for series in known},
        evaluation_interval=seconds(settings["global"]["evaluation_interval"]),
        determined={"service_instance_id": resource, "instance": resource, "pod": frozenset({"node", "uid"})},
    )


def _pushed(metric: Metric) -> list[Series]:
    labels = {label_name(name): Label(always=name in _ALWAYS_PROMOTED) for name in PROMOTED}
    labels |= {"job": Label(), "instance": Label()}
    labels |= {
        attribute.label: Label(attribute.name in metric.required, _values(attribute)) for attribute in metric.attributes
    }
    interval = float(DEFAULTS["OTEL_METRIC_EXPORT_INTERVAL"]) / 1000
    name = metric.prometheus_name
    if metric.instrument == "histogram":
        spellings = frozenset(spelling for bound in metric.buckets for spelling in spellings_of(bound)) | {"+Inf"}
        parts = (("_bucket", {**labels, "le": Label(values=spellings)}), ("_sum", labels), ("_count", labels))
        return [
            Series(
                name + suffix,
                "counter",
                part_labels,
                interval,
                Bounds(low=0),
                metric.buckets if suffix == "_bucket" else (),
            )
            for suffix, part_labels in parts
        ]
    return [Series(name, "counter" if metric.instrument == "counter" else "gauge", labels, interval, _bounds(metric))]


def spellings_of(bound: float) -> tuple[str, ...]:
    """Spellings of `le`: `2` by OTLP and the Collector, `2.0` by the Python client and by scrapes of Prometheus 3."""
    return (f"{bound:g}", f"{bound:.1f}") if bound == int(bound) else (f"{bound:g}",)


def _bounds(metric: Metric) -> Bounds:
    if metric.name.endswith(".up") or metric.prometheus_name.endswith("_ratio"):
        return Bounds(0, 1)
    # UpDownCounters count existing things, so only gauges can be negative.
    return Bounds() if metric.instrument == "gauge" else Bounds(low=0)


def _values(attribute: Attribute) -> frozenset[str] | None:
    if attribute.members:
        others = {attribute.other} if attribute.type == "string" else set()
        return frozenset({str(member) for member in attribute.members} | others)
    matching = None if attribute.pattern is None else _matching(attribute.pattern)
    return None if matching is None else matching | {attribute.other}


def _matching(pattern: str) -> frozenset[str] | None:
    """All strings that match a pattern of character classes and `{n}`, such as `[1-5][0-9]{2}`; None if too many."""
    if not re.fullmatch(r"(\[(\w-\w|\w)+\](\{\d\})?)+", pattern):
        raise ValueError(f"pattern {pattern}: the checks only support character classes and {{n}}")
    alphabets: list[list[str]] = []
    for inner, _, count in re.findall(r"\[((\w-\w|\w)+)\](?:\{(\d)\})?", pattern):
        letters = [chr(code) for first, last in re.findall(r"(\w)(?:-(\w))?", inner) for code in _codes(first, last)]
        alphabets += [letters] * int(count or 1)
    if math.prod(map(len, alphabets)) > _MANY:
        return None
    return frozenset("".join(letters) for letters in itertools.product(*alphabets))


def _codes(first: str, last: str) -> range:
    return range(ord(first), ord(last or first) + 1)


def _scraped(metric: ScrapedMetric, intervals: Mapping[str, float]) -> Series:
    jobs = frozenset(intervals) if metric.job is None else frozenset({metric.job})
    # A site may label its targets with their environment.
    labels = {"job": Label(values=jobs), "instance": Label(), "deployment_environment_name": Label(always=False)}
    labels |= {
        label.name: Label(not label.optional, frozenset(label.values) if label.values else None)
        for label in metric.labels
    }
    low = -math.inf if metric.minimum is None else metric.minimum
    high = math.inf if metric.maximum is None else metric.maximum
    bounds = Bounds(low, high, zero=low <= 0 <= high)
    # Another test finds jobs that are missing in the configuration.
    interval = max(intervals.get(job, 0) for job in jobs)
    return Series(metric.name, metric.kind, labels, interval, bounds, from_zero=metric.from_zero)


_ALWAYS_PROMOTED = ("service.name", "service.instance.id")
_MANY = 1000
