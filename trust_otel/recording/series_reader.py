"""What a reader of the SDK implements to get the series themselves, not data points made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from trust_otel.recording.self_metrics import DroppedMeasurements
from trust_otel.recording.series import CounterSeries, HistogramSeries
from trust_otel.semconv.definitions import Metric

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource


@dataclass(frozen=True, slots=True)
class RecordedFamily:
    """The series of a metric that the SDK does not record.

    Attributes:
        metric: The metric: a counter, an up-down counter or a histogram.
        series: Its series, also those that have counted nothing.
    """

    metric: Metric
    series: Sequence[CounterSeries | HistogramSeries]


@dataclass(frozen=True, slots=True)
class RecordedSeries:
    """All series of one resource that the SDK does not record."""

    resource: Resource
    families: Sequence[RecordedFamily]


@runtime_checkable
class SeriesReader(Protocol):
    """A reader that exports series without the SDK's data points."""

    def receive_series(self, recorded: RecordedSeries, dropped: DroppedMeasurements) -> None:
        """Take the series; called in the thread that collects, before the SDK's metrics are received.

        Args:
            recorded: The series. They change while they are read.
            dropped: Counts series that the reader cannot export.
        """
