"""Connects the histograms of this package to the readers of the SDK, also when the SDK is set up late."""

from __future__ import annotations

import logging
import sys
import threading
from time import time_ns
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from opentelemetry.metrics import MeterProvider, get_meter_provider

from trust_otel.log_safe import error_location
from trust_otel.recording.self_metrics import DroppedMeasurements
from trust_otel.recording.series_reader import RecordedFamily, RecordedSeries, SeriesReader

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric, MetricReader, MetricsData
    from opentelemetry.sdk.resources import Resource

    from trust_otel.recording.instruments import BoundedHistogram

_logger = logging.getLogger(__name__)


class HistogramCollection:
    """The histograms that one provider collects.

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
        self._histograms: list[BoundedHistogram] = []
        self._collected_at: WeakKeyDictionary[MetricReader, int] = WeakKeyDictionary()
        self._lock = threading.RLock()

    def add(self, histogram: BoundedHistogram) -> None:
        """Collect this histogram too."""
        with self._lock:
            self._histograms.append(histogram)
            if self._attached is not None:
                self._choose_recorder(histogram)
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
            for histogram in self._histograms:
                self._choose_recorder(histogram)
            # Last: other threads record as soon as they see it.
            self._attached = provider

    def restart_in_child(self) -> None:
        """Renew the lock in a forked process: a thread that only the parent has may hold it."""
        self._lock = threading.RLock()

    def _connect(self, provider: Any) -> bool:
        from trust_otel.sdk_private import complete_collections

        try:
            complete_collections(provider, self._completed)
        except AttributeError as error:
            _logger.debug("trust-otel: unknown SDK, which records the histograms itself: %s", error_location(error))
            return False
        return True

    def _choose_recorder(self, histogram: BoundedHistogram) -> None:
        if not self._connected:
            histogram.record_in_sdk()
            return
        from trust_otel.recording.data_points import sampler_for
        from trust_otel.sdk_private import aggregates_as_declared, exemplar_filter_of

        if aggregates_as_declared(self._provider, histogram.instrument):
            histogram.sample_with(sampler_for(exemplar_filter_of(self._provider)))
        else:
            histogram.record_in_sdk()

    def _completed(self, reader: MetricReader, collected: MetricsData | None, resource: Resource) -> MetricsData | None:
        from trust_otel.recording.data_points import merged

        try:
            self._renew_samplers()
            if isinstance(reader, SeriesReader):
                reader.receive_series(RecordedSeries(resource, self._families()), self._dropped)
                return collected
            found = self._collect(reader)
            return merged(collected, found, resource) if found else collected
        except Exception:
            self._dropped.count("internal_error")
            return collected

    def _renew_samplers(self) -> None:
        # At each collection: the program may set up spans late.
        from trust_otel.recording.data_points import sampler_for
        from trust_otel.sdk_private import exemplar_filter_of

        sampler = sampler_for(exemplar_filter_of(self._provider))
        for histogram in tuple(self._histograms):
            histogram.sample_with(sampler)

    def _families(self) -> list[RecordedFamily]:
        return [RecordedFamily(histogram.metric, histogram.series()) for histogram in tuple(self._histograms)]

    def _collect(self, reader: MetricReader) -> list[Metric]:
        from trust_otel.recording.data_points import histogram_of

        now, since = time_ns(), self._collected_at.get(reader, 0)
        self._collected_at[reader] = now
        found = (histogram_of(family.metric, family.series, now, since) for family in self._families())
        return [metric for metric in found if metric is not None]


def _is_sdk(provider: object) -> bool:
    sdk = sys.modules.get("opentelemetry.sdk.metrics")
    return sdk is not None and isinstance(provider, sdk.MeterProvider)
