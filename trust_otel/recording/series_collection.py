"""Connects the series of this package to the readers of the SDK, also when the SDK is set up late."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Container
from contextvars import ContextVar
from time import time_ns
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from opentelemetry.metrics import MeterProvider, get_meter_provider

from trust_otel.log_safe import error_location
from trust_otel.recording.self_metrics import DroppedMeasurements
from trust_otel.recording.series_reader import RecordedFamily, RecordedSeries, SeriesReader

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
    from opentelemetry.sdk.resources import Resource

    from trust_otel.recording.instruments import BoundedHistogram, CollectedCounter

_logger = logging.getLogger(__name__)

_collected_apart: Final[ContextVar[Container[object]]] = ContextVar("collected_apart", default=())


def collected_apart(counter: CollectedCounter) -> bool:
    """Whether the collection that runs in this thread gets the series of this counter without the SDK."""
    return counter in _collected_apart.get()


class SeriesCollection:
    """The counters and histograms that one provider collects.

    Args:
        provider: The provider; the global one by default, also when it is set later.
        dropped: Counts failed collections.
    """

    def __init__(self, provider: MeterProvider | None, dropped: DroppedMeasurements) -> None:
        self._given = provider
        self._provider: Any = None
        self._connected = False
        self._attached: Any = None
        self._dropped = dropped
        self._instruments: list[CollectedCounter | BoundedHistogram] = []
        self._histograms: list[BoundedHistogram] = []
        self._collected_at: WeakKeyDictionary[MetricReader, int] = WeakKeyDictionary()
        self._lock = threading.RLock()

    def add_histogram(self, histogram: BoundedHistogram) -> None:
        """Collect this histogram too."""
        self._histograms.append(histogram)
        self.add(histogram)

    def add(self, instrument: CollectedCounter | BoundedHistogram) -> None:
        """Collect this instrument too."""
        with self._lock:
            if self._attached is not None:
                self._choose_recorder(instrument)
            self._instruments.append(instrument)
        self.attach()

    def attach(self) -> None:
        """Connect to the provider as soon as there is one."""
        provider = self._given or get_meter_provider()
        # Without `shutdown` it is the API's proxy: no provider has been set yet.
        if provider is self._attached or not hasattr(provider, "shutdown"):
            return
        with self._lock:
            # Another thread has done it, or this one is doing it and records meanwhile.
            if provider is self._provider:
                return
            self._provider = provider
            self._connected = _is_sdk(provider) and self._connect(provider)
            for instrument in self._instruments:
                self._choose_recorder(instrument)
            # Last: other threads record as soon as they see it.
            self._attached = provider

    def restart_in_child(self) -> None:
        """Renew the lock in a forked process: a thread that only the parent has may hold it."""
        self._lock = threading.RLock()

    def _connect(self, provider: Any) -> bool:
        from trust_otel.sdk_private import complete_collections

        try:
            complete_collections(provider, self._collect)
        except AttributeError as error:
            _logger.debug("trust-otel: unknown SDK, which records all metrics itself: %s", error_location(error))
            return False
        return True

    def _choose_recorder(self, instrument: CollectedCounter | BoundedHistogram) -> None:
        if not self._connected:
            instrument.record_in_sdk()
            return
        from trust_otel.sdk_private import aggregates_as_declared

        if not aggregates_as_declared(self._provider, instrument.instrument):
            instrument.record_in_sdk()
        self._renew_samplers()

    def _collect(
        self, reader: MetricReader, resource: Resource, collect_of_sdk: Callable[[], MetricsData | None]
    ) -> MetricsData | None:
        found = ((each, each.series()) for each in tuple(self._instruments))
        families = {each: RecordedFamily(each.metric, series) for each, series in found if series}
        token = _collected_apart.set(families)
        try:
            collected = collect_of_sdk()
        finally:
            _collected_apart.reset(token)
        try:
            self._renew_samplers()
            return self._completed(reader, collected, RecordedSeries(resource, tuple(families.values())))
        except Exception:
            self._dropped.count("internal_error")
            return collected

    def _completed(
        self, reader: MetricReader, collected: MetricsData | None, recorded: RecordedSeries
    ) -> MetricsData | None:
        from trust_otel.recording.data_points import merged, metric_of

        if isinstance(reader, SeriesReader):
            reader.receive_series(recorded, self._dropped)
            return collected
        now, since = time_ns(), self._collected_at.get(reader, 0)
        self._collected_at[reader] = now
        made = (metric_of(each.metric, each.series, now, since) for each in recorded.families)
        metrics = [metric for metric in made if metric is not None]
        return merged(collected, metrics, recorded.resource) if metrics else collected

    def _renew_samplers(self) -> None:
        # At each collection: the program may set up spans late.
        from trust_otel.recording.data_points import sampler_for
        from trust_otel.sdk_private import exemplar_filter_of

        sampler = sampler_for(exemplar_filter_of(self._provider))
        for histogram in tuple(self._histograms):
            histogram.sample_with(sampler)


def _is_sdk(provider: object) -> bool:
    sdk = sys.modules.get("opentelemetry.sdk.metrics")
    return sdk is not None and isinstance(provider, sdk.MeterProvider)
