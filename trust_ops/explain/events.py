"""What each series of a metric counted before the alert and during it."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from trust_ops.explain.alert import Alert, quoted
from trust_ops.explain.history import History
from trust_otel.semconv.definitions import Metric

FAILED: Final[Mapping[str, str]] = {
    "http_response_status_code": "5..",
    "rpc_response_status_code": "UNKNOWN|DEADLINE_EXCEEDED|INTERNAL|UNAVAILABLE|DATA_LOSS",
    "trust_outcome": "failure|error|_other",
    "trust_db_transaction_outcome": "rollback",
    "error_type": ".+",
}
"""Labels whose values say that something failed; the first that a metric has decides. Values as regular expressions."""

INSTANCE: Final = "service_instance_id"
VERSION: Final = "service_version"
_OF_THE_PROCESS: Final = (INSTANCE, VERSION, "k8s_node_name")

_BEFORE_SECONDS, _GAP_SECONDS = 1800.0, 600.0
_LEAD_SECONDS, _DURING_SECONDS, _LEAST_SECONDS = 60.0, 900.0, 180.0
_QUIET_SECONDS, _QUIET_STEP = 6 * 3600.0, 60.0
# The bucket that so many events were within before is the bound of the slow ones.
_USUAL_SHARE: Final = 0.95

Labels = tuple[tuple[str, str], ...]
Rates = Mapping[Labels, float]


@dataclass(frozen=True)
class Window:
    """Two Unix times."""

    begin: float
    end: float

    @property
    def seconds(self) -> int:
        return round(self.end - self.begin)


def windows(history: History, alert: Alert, at: float) -> tuple[Window, Window]:
    """Before and during: half an hour that ends ten minutes before it was pending; up to a quarter of an hour since.

    If other alerts of the service fired in that half hour, it is the half hour before the first of them. Raises
    ExplainError.
    """
    during = alert.active - _LEAD_SECONDS
    end = max(min(alert.end, alert.active + _DURING_SECONDS, at), during + _LEAST_SECONDS)
    before = _quiet(history, alert) - _GAP_SECONDS
    return Window(before - _BEFORE_SECONDS, before), Window(during, end)


def _quiet(history: History, alert: Alert) -> float:
    """The time before which no alert of the service had fired for as long as is compared; at most some hours before."""
    begin = alert.active
    if not alert.service:
        return begin
    selector = f"service_name={quoted(alert.service)},deployment_environment_name={quoted(alert.environment)}"
    earliest = begin - _QUIET_SECONDS
    courses = history.matrix(f'ALERTS{{alertstate="firing",{selector}}}', earliest, begin, _QUIET_STEP)
    # What fires for hours, such as a certificate that expires in weeks, says nothing about now.
    recent = [[at for at, _ in course.points] for course in courses if course.points[0][0] > earliest + _QUIET_STEP]
    for at in sorted((at for times in recent for at in times), reverse=True):
        if at < begin - _GAP_SECONDS - _BEFORE_SECONDS:
            break
        begin = at
    return begin


@dataclass(frozen=True)
class Measure:
    """A number of events per second, of each series.

    Attributes:
        metric: The metric.
        kind: `failures`, `slow` or `all`: which of its events.
        selector: PromQL of the counter.
        before: Events per second before.
        during: The same since the alert.
        all_before: All events of the metric before; the same as `before` for `all`.
        all_during: The same since the alert.
        seconds: Length of the time since the alert.
        without: PromQL of a counter of events that do not count; empty for none.
    """

    metric: Metric
    kind: str
    selector: str
    before: Rates
    during: Rates
    all_before: Rates
    all_during: Rates
    seconds: int
    without: str = ""

    @property
    def expected(self) -> float:
        """Events per second if their share were as before."""
        total = sum(self.before.values())
        if self.kind == "all":
            return total
        traffic = sum(self.all_before.values())
        return total * sum(self.all_during.values()) / traffic if traffic else total

    @property
    def actual(self) -> float:
        return sum(self.during.values())

    @property
    def significance(self) -> float:
        """The difference in standard deviations of a number of independent events."""
        seen, expected = self.actual * self.seconds, self.expected * self.seconds
        return abs(seen - expected) / math.sqrt(seen + expected + 1)

    @property
    def strength(self) -> float:
        """The part of the larger number that the difference is."""
        larger = max(self.actual, self.expected)
        return abs(self.actual - self.expected) / larger if larger else 0.0

    def by(self, label: str, rates: Rates) -> dict[str, float]:
        """Events per second by the value of a label."""
        found: dict[str, float] = defaultdict(float)
        for labels, rate in rates.items():
            found[dict(labels).get(label, "")] += rate
        return found

    def query(self, label: str | None) -> str:
        """PromQL that shows it over time, by a label or in all."""
        by = f" by ({label})" if label else ""
        less = f" - sum{by} (rate({self.without}[5m]))" if self.without else ""
        return f"sum{by} (rate({self.selector}[5m])){less}"


@dataclass
class Compared:
    """What was compared with which result.

    Attributes:
        measures: Those of metrics with series.
        gauges: Mean of each series before and during, by metric.
        left_out: Metrics that were not compared, with the reason.
    """

    measures: list[Measure] = field(default_factory=list)
    gauges: dict[str, tuple[Rates, Rates]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


class Counts:
    """Compares the metrics of one service and environment."""

    def __init__(self, history: History, selector: str, before: Window, during: Window) -> None:
        self._history = history
        self._selector = selector
        self._before = before
        self._during = during

    def measures(self, metric: Metric, *, slow: bool) -> list[Measure]:
        """All measures of a counter or histogram. Raises ExplainError.

        Args:
            metric: The metric.
            slow: Whether to compare slow events of a histogram, too.
        """
        histogram = metric.instrument == "histogram"
        name = metric.prometheus_name + ("_count" if histogram else "")
        labels = [*(attribute.label for attribute in metric.attributes), *_OF_THE_PROCESS]
        before, during = self._both(name, labels, self._events)
        found = [Measure(metric, "all", self._of(name), before, during, before, during, self._during.seconds)]
        failed = next((label for label in FAILED if label in labels), None)
        if failed is not None:
            kept = _matching(failed)
            bad = [{key: rate for key, rate in rates.items() if kept(key)} for rates in (before, during)]
            selector = self._of(name, f'{failed}=~"{FAILED[failed]}"')
            found.append(Measure(metric, "failures", selector, bad[0], bad[1], before, during, self._during.seconds))
        if histogram and slow:
            found += self._slow(metric, labels, before, during)
        return found

    def gauge(self, name: str, labels: Sequence[str]) -> tuple[Rates, Rates]:
        """Mean of a gauge before and during, by labels. Raises ExplainError."""
        return self._both(name, [*labels, *_OF_THE_PROCESS], self._mean)

    def _slow(self, metric: Metric, labels: Sequence[str], before: Rates, during: Rates) -> list[Measure]:
        name = f"{metric.prometheus_name}_bucket"
        buckets = self._both(name, [*labels, "le"], self._events)
        bounds = sorted({dict(key)["le"] for key in buckets[0]} - {"+Inf"}, key=float)
        total = sum(before.values())
        within = {bound: sum(rate for key, rate in buckets[0].items() if ("le", bound) in key) for bound in bounds}
        bound = next((each for each in bounds if total and within[each] >= _USUAL_SHARE * total), None)
        if bound is None:
            return []
        slow = []
        for all_events, rates in zip((before, during), buckets, strict=True):
            fast = {
                tuple(pair for pair in key if pair[0] != "le"): rate
                for key, rate in rates.items()
                if ("le", bound) in key
            }
            slow.append({key: max(0.0, rate - fast.get(key, 0.0)) for key, rate in all_events.items()})
        count = self._of(f"{metric.prometheus_name}_count")
        fast_ones = self._of(name, f'le="{bound}"')
        return [
            Measure(*(metric, "slow", count, slow[0], slow[1], before, during, self._during.seconds), without=fast_ones)
        ]

    def _both(
        self, name: str, labels: Sequence[str], expression: Callable[[str, Sequence[str], Window], str]
    ) -> tuple[Rates, Rates]:
        found = []
        for window in (self._before, self._during):
            values = self._history.vector(expression(self._of(name), labels, window), window.end)
            found.append({tuple(sorted(each.labels.items())): each.value for each in values})
        return found[0], found[1]

    def _of(self, name: str, *more: str) -> str:
        return f"{name}{{{','.join((self._selector, *more))}}}"

    @staticmethod
    def _events(series: str, labels: Sequence[str], window: Window) -> str:
        """Events per second. increase() misses the first event of a series that begins in the window."""
        seconds = window.seconds
        return (
            f"sum by ({', '.join(labels)}) ((last_over_time({series}[{seconds}s]) "
            f"unless last_over_time({series}[1h] offset {seconds}s)) or increase({series}[{seconds}s])) / {seconds}"
        )

    @staticmethod
    def _mean(series: str, labels: Sequence[str], window: Window) -> str:
        return f"avg by ({', '.join(labels)}) (avg_over_time({series}[{window.seconds}s]))"


def _matching(label: str) -> Callable[[Labels], bool]:
    pattern = re.compile(FAILED[label])
    return lambda labels: bool(pattern.fullmatch(dict(labels).get(label, "")))
