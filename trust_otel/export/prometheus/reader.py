"""The reader of the SDK that serves the endpoint."""

from __future__ import annotations

import threading
from collections.abc import Set
from functools import partial
from time import time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricReader, MetricsData

from trust_otel import forks
from trust_otel.export.periodic import SeriesStarts
from trust_otel.export.prometheus.application import Application
from trust_otel.export.prometheus.exposition import OPEN_METRICS, TEXT, Format
from trust_otel.export.prometheus.renderer import Renderer
from trust_otel.export.prometheus.server import Server
from trust_otel.log_safe import error_location
from trust_otel.recording.data_points import merged, metric_of
from trust_otel.recording.self_metrics import DroppedMeasurements
from trust_otel.recording.series_reader import RecordedSeries

if TYPE_CHECKING:
    from trust_otel.export.processes import ProcessGroup
    from trust_otel.export.prometheus.web_config import WebConfig

_INSTRUMENTS = (Counter, UpDownCounter, Histogram, ObservableCounter, ObservableUpDownCounter, ObservableGauge)


class PrometheusReader(MetricReader):
    """Serves `/metrics` in the process.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for any free one, which is then in the attribute `port`.
        scope_labels: Whether each series has the labels `otel_scope_name` and `otel_scope_version`.
        web_config: TLS, users and headers; without TLS and for everybody by default.
        group: The processes of the service, of which one serves for all; otherwise each serves for itself.

    Raises:
        OSError: The port is in use or the address is not local.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        scope_labels: bool = False,
        web_config: WebConfig | None = None,
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__(preferred_temporality=dict.fromkeys(_INSTRUMENTS, AggregationTemporality.CUMULATIVE))
        self._lock = forks.released_in_child(threading.Lock())
        self._starts = SeriesStarts(time_ns())
        self._dropped = DroppedMeasurements()
        self._recorded: list[RecordedSeries] = []
        self._collected: MetricsData | None = None
        self._renderers = {
            each: Renderer(each, self._report, scope_labels=scope_labels) for each in (TEXT, OPEN_METRICS)
        }
        application = Application(self.scrape, web_config)
        tls_context = web_config.tls_context if web_config else lambda: None
        self._new_server = partial(Server, host, port, application, tls_context)
        self._server: Server | None = None
        self._group = group
        if group is None:
            self._serve()
        else:
            group.start(self._read_own, self._serve)

    @property
    def port(self) -> int:
        """The port on which this process listens; 0 while another one serves."""
        return 0 if self._server is None else self._server.port

    def scrape(self, format_: Format, names: Set[str]) -> bytes:
        """Collect the metrics, and return those with these names, or all of them, in UTF-8."""
        with self._lock:
            all_processes = None if self._group is None else self._group.merged(self._collect_data)
            if all_processes is not None:
                return self._renderers[format_].render([], all_processes, names)
            self._collect_series()
            return self._renderers[format_].render(self._recorded, self._collected, names)

    def _serve(self) -> None:
        self._server = self._new_server()

    def _read_own(self) -> MetricsData | None:
        with self._lock:
            return self._collect_data()

    def _collect_series(self) -> None:
        self._recorded, self._collected = [], None
        self.collect()

    def _collect_data(self) -> MetricsData:
        """What this process counts, in the classes of the SDK."""
        self._collect_series()
        data = self._collected
        for recorded in self._recorded:
            families = (metric_of(each.metric, each.series, time_ns(), 0) for each in recorded.families)
            found = [metric for metric in families if metric is not None]
            data = merged(data, found, recorded.resource)
        return data or MetricsData([])

    def receive_series(self, recorded: RecordedSeries, dropped: DroppedMeasurements) -> None:
        """Take the series of trust-otel."""
        self._recorded.append(recorded)
        self._dropped = dropped

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        self._collected = self._starts.apply(metrics_data)

    def _report(self, metric: str, error: Exception) -> None:
        self._dropped.report(
            "internal_error", metric, lambda: f"a series of {metric} is not exposed: {error_location(error)}"
        )

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Do nothing: the endpoint is read, and a collection here would take exemplars from the next scrape."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Stop serving; another process of the service goes on."""
        if self._server is not None:
            self._server.stop(timeout_millis / 1000)
        if self._group is not None:
            self._group.end()
