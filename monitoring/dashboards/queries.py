"""PromQL builders for the metrics of the registry, with the filters of the dashboard variables.

Metrics are referenced by their constants, so that renaming one in the registry breaks the build. Labels and label
values are checked by `tools.checks`.
"""

from __future__ import annotations

from typing import Final, Literal

from trust_otel.semconv.definitions import Metric

RATE: Final = "$__rate_interval"
"""At least four export intervals, and at least the query step."""
TIME_RANGE: Final = "$__range"
"""The selected time range of the dashboard."""

Part = Literal["", "_bucket", "_count", "_sum"]

_SERVICE = ('deployment_environment_name=~"$environment"', 'service_name=~"$service"')
_INSTANCE = (*_SERVICE, 'service_instance_id=~"$instance"')


def series(metric: Metric, *matchers: str, part: Part = "") -> str:
    """Selector of a metric for the selected services and instances; `part` for histograms."""
    return _selector(metric.prometheus_name + part, *_INSTANCE, *matchers)


def recorded(name: str, *matchers: str) -> str:
    """Selector of a recorded series for the selected services, over all of their instances."""
    return _selector(name, *_SERVICE, *matchers)


def scraped(name: str, *matchers: str) -> str:
    """Selector of a metric of an exporter, which has no service labels."""
    return _selector(name, *matchers) if matchers else name


def rate(metric: Metric, *matchers: str, part: Part = "") -> str:
    """Events per second of each series."""
    return f"rate({series(metric, *matchers, part=part)}[{RATE}])"


def increase(metric: Metric, *matchers: str, part: Part = "", over: str = TIME_RANGE) -> str:
    """Events of each series, by default in the selected time range."""
    return f"increase({series(metric, *matchers, part=part)}[{over}])"


def counted(metric: Metric, *matchers: str, over: str) -> str:
    """Events of each series within a window, without the extrapolation of increase().

    A longer window never has fewer. A counter that was reset counts from its start.
    """
    counter = series(metric, *matchers)
    return f"{counter} - min_over_time({counter}[{over}])"


def total(expression: str, *by: str) -> str:
    """Sum, optionally by labels."""
    return f"sum by ({', '.join(by)}) ({expression})" if by else f"sum({expression})"


def zero_if_recorded(metric: Metric, *matchers: str, by: tuple[str, ...] = (), part: Part = "") -> str:
    """0 if the metric was ever recorded, else no result. For use after `or` in queries that count events."""
    return f"{total(series(metric, *matchers, part=part), *by)} * 0"


def quantile(q: float, metric: Metric, *matchers: str, by: tuple[str, ...] = (), over: str = RATE) -> str:
    """Quantile of a histogram, in its unit."""
    buckets = f"rate({series(metric, *matchers, part='_bucket')}[{over}])"
    return f"histogram_quantile({q:g}, {total(buckets, *by, 'le')})"


def mean(metric: Metric, *matchers: str, by: tuple[str, ...] = (), over: str = RATE) -> str:
    """Mean of a histogram, in its unit; no result without observations."""
    whole = f"rate({series(metric, *matchers, part='_sum')}[{over}])"
    count = f"rate({series(metric, *matchers, part='_count')}[{over}])"
    return f"{total(whole, *by)} / ({total(count, *by)} > 0)"


def ratio(part: str, whole: str) -> str:
    """Ratio from 0 to 1: 0 if only the whole has a result, no result if the whole has none."""
    return f"({part} or {whole} * 0) / ({whole} > 0)"


def with_label(query: str, label: str, value: str) -> str:
    """The query with an additional label."""
    return f'label_replace({query}, "{label}", "{value}", "", "")'


def with_base_name(expression: str, label: str) -> str:
    """The same series, with paths in the label reduced to the file name."""
    return f'label_replace({expression}, "{label}", "$1", "{label}", ".*/(.+)")'


def _selector(name: str, *matchers: str) -> str:
    return f"{name}{{{', '.join(matchers)}}}"
