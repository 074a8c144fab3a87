"""PromQL of the registry's metrics, with the filters of the dashboards' variables.

A metric is named by its constant, so that a metric that is renamed in the registry breaks the build here; labels and
their values are judged by `tools.checks`.
"""

from __future__ import annotations

from typing import Final, Literal

from trust_otel.semconv.definitions import Metric

RATE: Final = "$__rate_interval"
"""At least four exports, and no shorter than the distance of two points."""
SHOWN: Final = "$__range"
"""The time that the dashboard shows."""

Part = Literal["", "_bucket", "_count", "_sum"]

_SERVICE = ('deployment_environment_name=~"$environment"', 'service_name=~"$service"')
_INSTANCE = (*_SERVICE, 'service_instance_id=~"$instance"')


def series(metric: Metric, *matchers: str, part: Part = "") -> str:
    """A selector of what the chosen services and instances say; `part` for histograms."""
    return _selector(metric.prometheus_name + part, *_INSTANCE, *matchers)


def recorded(name: str, *matchers: str) -> str:
    """A selector of what a recording rule says of the chosen services; over all of their instances."""
    return _selector(name, *_SERVICE, *matchers)


def scraped(name: str, *matchers: str) -> str:
    """A selector of what an exporter says, which knows nothing of services."""
    return _selector(name, *matchers) if matchers else name


def rate(metric: Metric, *matchers: str, part: Part = "") -> str:
    """Events per second of each series."""
    return f"rate({series(metric, *matchers, part=part)}[{RATE}])"


def increase(metric: Metric, *matchers: str, part: Part = "", over: str = SHOWN) -> str:
    """Events of each series, by default in the time shown."""
    return f"increase({series(metric, *matchers, part=part)}[{over}])"


def total(expression: str, *by: str) -> str:
    """The sum, for each value of the labels."""
    return f"sum by ({', '.join(by)}) ({expression})" if by else f"sum({expression})"


def measured(metric: Metric, *matchers: str, by: tuple[str, ...] = (), part: Part = "") -> str:
    """0 where the metric has been recorded, nothing where it has never been; follows `or` after what counts events."""
    return f"{total(series(metric, *matchers, part=part), *by)} * 0"


def quantile(q: float, metric: Metric, *matchers: str, by: tuple[str, ...] = (), over: str = RATE) -> str:
    """A quantile of a histogram, in its unit."""
    buckets = f"rate({series(metric, *matchers, part='_bucket')}[{over}])"
    return f"histogram_quantile({q:g}, {total(buckets, *by, 'le')})"


def mean(metric: Metric, *matchers: str, by: tuple[str, ...] = (), over: str = RATE) -> str:
    """The mean of what a histogram saw, in its unit; nothing where it saw nothing."""
    whole = f"rate({series(metric, *matchers, part='_sum')}[{over}])"
    count = f"rate({series(metric, *matchers, part='_count')}[{over}])"
    return f"{total(whole, *by)} / ({total(count, *by)} > 0)"


def share(part: str, whole: str) -> str:
    """Part of a whole, from 0 to 1; 0 where there is a whole and no part of it, nothing where there is no whole."""
    return f"({part} or {whole} * 0) / ({whole} > 0)"


def named(query: str, label: str, value: str) -> str:
    """The query with one label more."""
    return f'label_replace({query}, "{label}", "{value}", "", "")'


def file_name(expression: str, label: str) -> str:
    """The same series; where the label holds the path of a file, only the file's name is left of it."""
    return f'label_replace({expression}, "{label}", "$1", "{label}", ".*/(.+)")'


def _selector(name: str, *matchers: str) -> str:
    return f"{name}{{{', '.join(matchers)}}}"
