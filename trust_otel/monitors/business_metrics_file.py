"""KPIs in TRUST_OTEL_BUSINESS_METRICS_FILE, read at the start and again when the file changes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel import settings
from trust_otel.metrics import recorder_of
from trust_otel.metrics.kpi import Kpi, read_kpis
from trust_otel.metrics.recorder import Recorder
from trust_otel.monitors.declarations import DeclarationsFile


class BusinessMetricsInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Lets a service record the KPIs of a file.

    `instrument(metrics=..., path=...)` sets the `TrustServiceMetrics` that records and the file; by default that of the
    process and TRUST_OTEL_BUSINESS_METRICS_FILE.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """No required packages."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        path = kwargs.get("path") or settings.current().business_metrics_file or ""
        self._file = business_metrics_file(path, recorder_of(kwargs.get("metrics")))
        self._file.watch()

    def _uninstrument(self, **kwargs: Any) -> None:
        self._file.remove()


def business_metrics_file(path: str, recorder: Recorder) -> DeclarationsFile[Kpi]:
    """A file with KPIs, which the recorder then takes."""
    return DeclarationsFile(path, "business_metrics", read_kpis, recorder.business.set_kpis, recorder.sources)
