"""Metrics of exporters that Prometheus scrapes, as far as rules and dashboards use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast, get_args

import yaml

ScrapedKind = Literal["counter", "gauge"]

_FILE = Path(__file__).with_name("scraped.yaml")


class ScrapedError(ValueError):
    """The file of scraped metrics is invalid; the message names the metric."""


class SeriesClient(Protocol):
    """A client of Prometheus, such as `trust_ops.stack.PrometheusClient`."""

    def series(self, match: str) -> list[dict[str, str]]:
        """The labels of every series that the selector matches."""


@dataclass(frozen=True)
class ScrapedLabel:
    """A label of a scraped metric.

    Attributes:
        name: Name in Prometheus.
        values: All its values; empty if any value is possible.
        optional: Whether some series of the metric do not have it.
    """

    name: str
    values: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True)
class ScrapedMetric:
    """A metric of an exporter.

    Attributes:
        name: Full name in Prometheus.
        kind: Type of the metric.
        job: Scrape job of the metric; None for a metric of every job.
        labels: All labels except `job` and `instance`.
        minimum: Minimum value; None for no minimum.
        maximum: Maximum value; None for no maximum.
        after: The event after which the first series appears; empty if it is there from the start.
        from_zero: False if the first sample already counts the first event, so that increase() misses it.
    """

    name: str
    kind: ScrapedKind
    job: str | None
    labels: tuple[ScrapedLabel, ...] = ()
    minimum: float | None = 0
    maximum: float | None = None
    after: str = ""
    from_zero: bool = True


def read_scraped(file: Path = _FILE) -> dict[str, ScrapedMetric]:
    """The scraped metrics by name. Raises ScrapedError."""
    found: dict[str, ScrapedMetric] = {}
    for exporter in yaml.safe_load(file.read_text(encoding="utf-8"))["exporters"]:
        shared = exporter.get("labels", {})
        for name, entry in exporter["metrics"].items():
            if name in found:
                raise ScrapedError(f"{name} is a duplicate")
            found[name] = _metric(name, exporter.get("job"), {**entry, "labels": {**shared, **entry.get("labels", {})}})
    return found


def missing(client: SeriesClient, jobs: Iterable[str], file: Path = _FILE) -> list[str]:
    """Compare the declared metrics of these jobs with a running Prometheus.

    Metrics that appear only after an event are compared if they exist.

    Args:
        client: Client of a Prometheus that has scraped the jobs.
        jobs: Names of the running scrape jobs.
        file: The declarations.

    Returns:
        A sentence per difference: a metric without series, or a label that is missing, undeclared, or has an undeclared
        value.
    """
    wanted = set(jobs)
    found: list[str] = []
    for metric in read_scraped(file).values():
        if metric.job in wanted:
            series = client.series(f'{metric.name}{{job="{metric.job}"}}')
            if not series and not metric.after:
                found.append(f"{metric.name}: job {metric.job} has no series")
            found += [f"{metric.name}: {difference}" for difference in _differences(metric, series)]
    return found


def _differences(metric: ScrapedMetric, series: list[dict[str, str]]) -> list[str]:
    declared = {label.name: label for label in metric.labels}
    seen: dict[str, set[str]] = {}
    for each in series:
        for name, value in each.items():
            seen.setdefault(name, set()).add(value)
    found = [
        f"label {label.name} is not on every series"
        for label in metric.labels
        if not label.optional and not all(label.name in each for each in series)
    ]
    for name in sorted(set(seen) - {"__name__", "job", "instance"}):
        if name not in declared:
            found.append(f"label {name} is not declared")
        elif declared[name].values and not seen[name] <= set(declared[name].values):
            found.append(f"label {name} has the undeclared values {sorted(seen[name] - set(declared[name].values))}")
    return found


def _metric(name: str, job: str | None, entry: Mapping[str, Any]) -> ScrapedMetric:
    if entry.get("type") not in get_args(ScrapedKind):
        raise ScrapedError(f"{name}: type must be one of {', '.join(get_args(ScrapedKind))}")
    unknown = set(entry) - {"type", "labels", "minimum", "maximum", "after", "from_zero"}
    if unknown:
        raise ScrapedError(f"{name}: unknown keys {', '.join(sorted(unknown))}")
    return ScrapedMetric(
        name=name,
        kind=cast(ScrapedKind, entry["type"]),
        job=job,
        labels=tuple(_label(name, label, value) for label, value in entry["labels"].items()),
        minimum=entry.get("minimum", 0),
        maximum=entry.get("maximum"),
        after=entry.get("after", ""),
        from_zero=entry.get("from_zero", True),
    )


def _label(metric: str, name: str, value: object) -> ScrapedLabel:
    """Parse `any`, `optional`, or the list of values."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ScrapedLabel(name, tuple(value))
    if value not in ("any", "optional"):
        raise ScrapedError(f"{metric}: label {name} must be `any`, `optional` or a list of strings")
    return ScrapedLabel(name, optional=value == "optional")
