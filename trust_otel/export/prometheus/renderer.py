"""Renders what a reader collected: series of trust-otel from kept texts, other metrics from the SDK's data points."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from json import dumps
from time import time_ns
from typing import Any, cast

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    Sum,
)
from opentelemetry.sdk.resources import Resource

from trust_otel.export.prometheus.exposition import (
    OPEN_METRICS,
    Format,
    HistogramTemplate,
    NumberTemplate,
    exemplar_text,
    label_text,
    number_text,
    sample,
)
from trust_otel.export.prometheus.page import Family, Page, warn_once
from trust_otel.recording.data_points import SCOPE
from trust_otel.recording.series import CounterSeries, HistogramSeries, Sample
from trust_otel.recording.series_reader import RecordedFamily, RecordedSeries
from trust_otel.semconv.prometheus import family_name, label_name, unit_name
from trust_otel.semconv.resource import PROMOTED
from trust_otel.text import valid_text

_Labels = dict[str, str]
_Point = NumberDataPoint | HistogramDataPoint

Failed = Callable[[str, Exception], None]
"""Called with the metric and the error when a series is left out."""


class Renderer:
    """Renders pages in one format. Not for several threads at once.

    Args:
        format_: The format.
        failed: Called for each series that is left out because it cannot be rendered.
        scope_labels: Whether each series has the labels `otel_scope_name` and `otel_scope_version`.
    """

    def __init__(self, format_: Format, failed: Failed, *, scope_labels: bool = False) -> None:
        self._format = format_
        self._failed = failed
        self._scope_labels = scope_labels
        self._kept: dict[tuple[str, str], _KeptTexts] = {}

    def render(
        self, recorded: Sequence[RecordedSeries], collected: MetricsData | None, names: Set[str] = frozenset()
    ) -> bytes:
        """The page, in UTF-8.

        Args:
            recorded: The series of trust-otel.
            collected: What the SDK collected, with cumulative temporality.
            names: Only families with these names, or with a sample of these names; all if it is empty.
        """
        page = Page(self._format, names)
        of_sdk = collected.resource_metrics if collected else ()
        for resource in [*(each.resource for each in recorded), *(each.resource for each in of_sdk)]:
            self._add_target_info(page, resource)
        for series in recorded:
            common = self._common_labels(series.resource, SCOPE.name, SCOPE.version)
            for recorded_family in series.families:
                self._add_recorded(page, recorded_family, common)
        for metrics in of_sdk:
            for scope in metrics.scope_metrics:
                common = self._common_labels(metrics.resource, scope.scope.name, scope.scope.version)
                for metric in scope.metrics:
                    self._add_collected(page, metric, common)
        return page.content()

    def _add_target_info(self, page: Page, resource: Resource) -> None:
        family = page.family("target.info", "target_info", "gauge", "Resource of the service.", "")
        if family is not None:
            labels = label_text(_labels(resource.attributes))
            family.add(labels, sample("target_info", labels, "1").encode())

    def _common_labels(self, resource: Resource, scope: str, version: str | None) -> _Labels:
        labels = _labels({name: resource.attributes.get(name) for name in PROMOTED})
        if self._scope_labels:
            labels |= _labels({"otel_scope_name": scope, "otel_scope_version": version})
        return labels

    def _add_recorded(self, page: Page, recorded: RecordedFamily, common: _Labels) -> None:
        metric = recorded.metric
        family = _family(page, metric.name, metric.brief, metric.unit, metric.instrument)
        if family is None:
            return
        key = (family.name, label_text(common))
        if key not in self._kept:
            new_text = _text_maker(self._format, family, metric.buckets)
            self._kept[key] = _KeptTexts(new_text, common)
        family.add_all(self._kept[key].of(recorded.series, lambda error: self._failed(metric.name, error)))

    def _add_collected(self, page: Page, metric: Metric, common: _Labels) -> None:
        try:
            family = _family_of(page, metric)
        except Exception as error:
            self._failed(metric.name, error)
            return
        if family is None:
            return
        for point in cast("Iterable[_Point]", metric.data.data_points):
            try:
                labels = label_text(common | _free_labels(point.attributes or {}, family.kind))
                family.add(labels, self._lines(family, labels, point).encode())
            except Exception as error:
                self._failed(metric.name, error)

    def _lines(self, family: Family, labels: str, point: _Point) -> str:
        start, open_metrics = point.start_time_unix_nano, self._format is OPEN_METRICS
        if isinstance(point, HistogramDataPoint):
            exemplars = _by_bucket(point) if open_metrics else {}
            buckets = HistogramTemplate(self._format, family.name, point.explicit_bounds)
            return buckets.fill(labels, point.bucket_counts, point.sum, start, exemplars)
        last = point.exemplars[-1:] if open_metrics and family.kind == "counter" else ()
        template = NumberTemplate(self._format, family.name, family.kind)
        return template.fill(labels, point.value, start, "".join(map(_exemplar, last)))


class _KeptTexts:
    """The texts of the series of one metric, kept while the series do not change.

    Args:
        new_text: Makes the text of a series of its labels.
        common: Labels of all series.
    """

    def __init__(self, new_text: Callable[[str], _Text], common: _Labels) -> None:
        self._new_text = new_text
        self._common = common
        self._texts: dict[_Series, _Text] = {}

    def of(self, series: Sequence[_Series], failed: Callable[[Exception], None]) -> dict[str, bytes]:
        """The current lines of each series, or histogram series that has counted something, by its labels."""
        texts, now = self._texts, time_ns()
        lines = {}
        for each in series:
            try:
                text = texts.get(each)
                if text is None:
                    text = texts[each] = self._new_text(label_text(self._common | _labels(each.labels)))
                text.update(each, now)
                if text.lines:
                    lines[text.labels] = text.lines
            except Exception as error:
                failed(error)
        if len(texts) > len(series):
            # Without series that are gone.
            self._texts = {each: texts[each] for each in series if each in texts}
        return lines


class _CounterText:
    """The text of a series of a counter or up-down counter, and what it was made of."""

    __slots__ = ("_around", "_start", "_template", "_value", "labels", "lines")

    def __init__(self, template: NumberTemplate, labels: str) -> None:
        self._template = template
        self.labels = labels
        self.lines = b""
        self._around = ("", "")
        self._value: float = 0
        self._start = 0

    def update(self, series: CounterSeries, now_unix_nano: int) -> None:
        """Make the text again if the series has changed."""
        # A start in the future: the clock was set back since.
        value, start = series.value, min(series.start_time_unix_nano, now_unix_nano)
        if start != self._start:
            self._around = self._template.around(self.labels, start)
        elif value == self._value:
            return
        before, after = self._around
        self.lines = f"{before}{number_text(value)}{after}".encode()
        self._value, self._start = value, start


class _HistogramText:
    """The text of a histogram series, empty until it has counted something, and what it was made of."""

    __slots__ = ("_counts", "_samples", "_start", "_sum", "_template", "labels", "lines")

    def __init__(self, template: HistogramTemplate, labels: str) -> None:
        self._template = template
        self.labels = labels
        self.lines = b""
        self._counts: list[int] = []
        self._sum: float = 0
        self._samples: dict[int, Sample] = {}
        self._start = 0

    def update(self, series: HistogramSeries, now_unix_nano: int) -> None:
        """Make the text again if the series has changed."""
        if series.high < 0:
            self.lines = b""
            return
        # A start in the future: the clock was set back since.
        total, start, samples = series.sum, min(series.start_time_unix_nano, now_unix_nano), self._samples
        if self._template.exemplars and series.samples != samples:
            samples = series.samples.copy()
        elif series.counts == self._counts and total == self._sum and start == self._start:
            return
        counts = series.counts.copy()
        shown = {
            bucket: exemplar_text(each.amount, each.time_unix_nano, each.trace_id, each.span_id)
            for bucket, each in samples.items()
        }
        self.lines = self._template.fill(self.labels, counts, total, start, shown).encode()
        self._counts, self._sum, self._start, self._samples = counts, total, start, samples


_Series = CounterSeries | HistogramSeries
# `_CounterText | _HistogramText`, each for its kind of series.
_Text = Any


def _text_maker(format_: Format, family: Family, bounds: Sequence[float]) -> Callable[[str], _Text]:
    if family.kind == "histogram":
        return partial(_HistogramText, HistogramTemplate(format_, family.name, bounds))
    return partial(_CounterText, NumberTemplate(format_, family.name, family.kind))


def _family_of(page: Page, metric: Metric) -> Family | None:
    data = metric.data
    if isinstance(data, Histogram):
        kind = "histogram"
    elif isinstance(data, Sum):
        kind = "counter" if data.is_monotonic else "updowncounter"
    elif isinstance(data, Gauge):
        kind = "gauge"
    else:
        warn_once(f"{metric.name} is not exposed: the endpoint does not support exponential histograms")
        return None
    return _family(page, metric.name, metric.description or "", metric.unit or "", kind)


def _family(page: Page, metric: str, brief: str, unit: str, instrument: str) -> Family | None:
    """The family of a metric; `instrument` is `counter`, `updowncounter`, `gauge` or `histogram`."""
    gauge = instrument == "gauge"
    name = family_name(metric, unit, monotonic=instrument == "counter", gauge=gauge)
    if instrument == "counter":
        name = name.removesuffix("_total")
    kind = "gauge" if instrument == "updowncounter" else instrument
    return page.family(metric, name, kind, brief, unit_name(unit, gauge=gauge))


def _by_bucket(point: HistogramDataPoint) -> dict[int, str]:
    return {bisect_left(point.explicit_bounds, each.value): _exemplar(each) for each in point.exemplars}


def _exemplar(exemplar: Exemplar) -> str:
    return exemplar_text(exemplar.value, exemplar.time_unix_nano, exemplar.trace_id, exemplar.span_id)


def _labels(attributes: Mapping[str, Any]) -> _Labels:
    return {label_name(name): _text(value) for name, value in attributes.items() if value is not None}


def _free_labels(attributes: Mapping[str, Any], kind: str) -> _Labels:
    """Without labels that the format itself writes: twice the same name makes the whole page invalid."""
    labels = _labels(attributes)
    for name in ("__name__", "le") if kind == "histogram" else ("__name__",):
        labels.pop(name, None)
    return labels


def _text(value: object) -> str:
    return valid_text(value if isinstance(value, str) else dumps(value, default=str))
