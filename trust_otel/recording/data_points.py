"""Converts series to the data points of the SDK, and chooses exemplars as the SDK does."""

from __future__ import annotations

from collections.abc import Iterable
from time import time_ns
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.metrics import (
    AlwaysOnExemplarFilter,
    Exemplar,
    ExemplarFilter,
    TraceBasedExemplarFilter,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import get_current_span, get_tracer_provider

from trust_otel.recording.series import CounterSeries, HistogramSeries, Sample, Sampler
from trust_otel.version import SCHEMA_URL, __version__

if TYPE_CHECKING:
    from trust_otel.semconv.definitions import Metric as DeclaredMetric

SCOPE: Final = InstrumentationScope("trust_otel", __version__, SCHEMA_URL)
"""Scope of all metrics of trust-otel."""


def metric_of(
    declared: DeclaredMetric,
    series: Iterable[CounterSeries | HistogramSeries],
    time_unix_nano: int,
    since_unix_nano: int,
) -> Metric | None:
    """The metric with a data point for each series, or histogram series that has counted something; `None` without one.

    Args:
        declared: The metric.
        series: Its series.
        time_unix_nano: Time of this collection.
        since_unix_nano: Time of the reader's previous collection: it has the exemplars until then.
    """
    sums = []
    histograms = []
    for each in series:
        if isinstance(each, CounterSeries):
            sums.append(_number_point(each, time_unix_nano))
        elif each.high >= 0:
            histograms.append(_histogram_point(each, time_unix_nano, since_unix_nano))
    data: Sum | Histogram
    if sums:
        data = Sum(sums, AggregationTemporality.CUMULATIVE, is_monotonic=declared.instrument == "counter")
    elif histograms:
        data = Histogram(histograms, AggregationTemporality.CUMULATIVE)
    else:
        return None
    return Metric(name=declared.name, description=declared.brief, unit=declared.unit, data=data)


def _number_point(series: CounterSeries, time_unix_nano: int) -> NumberDataPoint:
    return NumberDataPoint(
        attributes=dict(series.labels),
        start_time_unix_nano=_start(series, time_unix_nano),
        time_unix_nano=time_unix_nano,
        value=series.exported_value(),
    )


def _start(series: CounterSeries | HistogramSeries, time_unix_nano: int) -> int:
    # A start in the future: the clock was set back since.
    return min(series.start_time_unix_nano, time_unix_nano)


def _histogram_point(series: HistogramSeries, time_unix_nano: int, since_unix_nano: int) -> HistogramDataPoint:
    counts = tuple(series.counts)
    return HistogramDataPoint(
        attributes=dict(series.labels),
        start_time_unix_nano=_start(series, time_unix_nano),
        time_unix_nano=time_unix_nano,
        count=sum(counts),
        sum=series.sum,
        bucket_counts=counts,
        explicit_bounds=series.bounds,
        min=series.low,
        max=series.high,
        exemplars=_exemplars(series, since_unix_nano) if series.samples else [],
    )


def _exemplars(series: HistogramSeries, since_unix_nano: int) -> list[Exemplar]:
    return [
        Exemplar({}, sample.amount, sample.time_unix_nano, sample.span_id, sample.trace_id)
        for _, sample in sorted(series.samples.copy().items())
        if sample.time_unix_nano > since_unix_nano
    ]


def merged(data: MetricsData | None, ours: list[Metric], resource: Resource) -> MetricsData:
    """What the SDK collected, with our metrics in the scope `trust_otel`."""
    found = data.resource_metrics[0] if data is not None else ResourceMetrics(resource, (), resource.schema_url)
    scopes = list(found.scope_metrics)
    index = next((index for index, each in enumerate(scopes) if each.scope == SCOPE), None)
    if index is None:
        scopes.append(ScopeMetrics(SCOPE, ours, SCHEMA_URL))
    else:
        scopes[index] = ScopeMetrics(SCOPE, [*scopes[index].metrics, *ours], SCHEMA_URL)
    return MetricsData([ResourceMetrics(found.resource, scopes, found.schema_url)])


def sampler_for(exemplar_filter: ExemplarFilter | None) -> Sampler | None:
    """The function that keeps exemplars as one of the SDK's filters does; `None` while none can be kept."""
    if isinstance(exemplar_filter, AlwaysOnExemplarFilter):
        return _sample_always
    # The API's own tracer provider, which has no `shutdown`, records no spans.
    if isinstance(exemplar_filter, TraceBasedExemplarFilter) and hasattr(get_tracer_provider(), "shutdown"):
        return _sample_in_recorded_spans
    return None


def _sample_in_recorded_spans(series: HistogramSeries, amount: float) -> None:
    context = get_current_span().get_span_context()
    if context.trace_flags.sampled:
        series.keep_sample(Sample(amount, time_ns(), context.trace_id, context.span_id))


def _sample_always(series: HistogramSeries, amount: float) -> None:
    context = get_current_span().get_span_context()
    series.keep_sample(Sample(amount, time_ns(), context.trace_id or None, context.span_id or None))
