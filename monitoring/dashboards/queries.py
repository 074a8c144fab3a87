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

_SERVICE = ('deployment_environment_name="$environment"', 'service_name=~"$service"')
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


def days_kept(days: int) -> str:
    """A number of days: fewer whole weeks, if Prometheus keeps samples for a shorter time."""
    return f"<<days {days}d :d>>"


def with_label(query: str, label: str, value: str) -> str:
    """The query with an additional label."""
    return f'label_replace({query}, "{label}", "{value}", "", "")'


def with_base_name(expression: str, label: str) -> str:
    """The same series, with paths in the label reduced to the file name."""
    return f'label_replace({expression}, "{label}", "$1", "{label}", ".*/(.+)")'


INSTANCE: Final = ("service_name", "service_instance_id", "k8s_pod_name", "host_name")
"""The labels of an instance, which `with_instance_name` reads."""
_PLACE: Final = "(?:([^ ]+ )[^ ]* [^ ]* | ([^ ]+ )([^ ]+ )|  ([^ ]+ ))"
_GENERATED_ID: Final = "([0-9a-f]{8})-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}((?:-[0-9a-f]{12})?)"
_CONFIGURED_ID: Final = "[^ ]* [^ ]* ([^ ]+ .+)"


def with_instance_name(expression: str) -> str:
    """The same series with a short `instance_name`, made of the labels `INSTANCE`.

    Of a generated id it has the first eight digits, after the pod, or else the service and the host. A configured id is
    a name already. The suffix that tells processes with the same configured id apart is kept.
    """
    name = '"instance_name"'
    read = '"k8s_pod_name", "host_name", "service_name", "service_instance_id"'
    joined = f'label_join({expression}, {name}, " ", {read})'
    short = f'label_replace({joined}, {name}, "$1$3$2$4$5$6", {name}, "{_PLACE}{_GENERATED_ID}")'
    return f'label_replace({short}, {name}, "$1", {name}, "{_CONFIGURED_ID}")'


def named(expression: str) -> str:
    """Series with the labels `INSTANCE`, by instance name only."""
    return f"max by (instance_name) ({with_instance_name(expression)})"


def highest(expression: str, number: int = 5) -> str:
    """The series with the highest values in the last 15 minutes of the time range, with all their values."""
    # topk() alone selects other series at each point.
    return f"{expression} and topk({number}, max_over_time(({expression})[15m:1m] @ end()))"


def lowest(expression: str, number: int = 5) -> str:
    """As `highest`, the lowest values."""
    return f"{expression} and bottomk({number}, min_over_time(({expression})[15m:1m] @ end()))"


def median(expression: str, *by: str) -> str:
    """Median of the series with the same labels."""
    return f"quantile by ({', '.join(by)}) (0.5, {expression})"


def _selector(name: str, *matchers: str) -> str:
    return f"{name}{{{', '.join(matchers)}}}"
