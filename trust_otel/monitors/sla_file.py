"""SLAs in TRUST_OTEL_SLA_FILE, read at the start and again when the file changes."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel import settings
from trust_otel.metrics import recorder_of
from trust_otel.metrics.recorder import Recorder
from trust_otel.metrics.sla import Sla, read_slas
from trust_otel.monitors.declarations import DeclarationsFile


class SlaInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Evaluates measurements against the SLAs of a file.

    `instrument(metrics=..., path=...)` sets the `TrustServiceMetrics` that records and the file; by default that of the
    process and TRUST_OTEL_SLA_FILE.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """No required packages."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        path = kwargs.get("path") or settings.current().sla_file or ""
        self._file = sla_file(path, recorder_of(kwargs.get("metrics")))
        self._file.watch()

    def _uninstrument(self, **kwargs: Any) -> None:
        self._file.remove()


def sla_file(path: str, recorder: Recorder) -> DeclarationsFile[Sla]:
    """A file with SLAs, which the recorder evaluates."""
    read = partial(read_slas, body_sizes=recorder.http.body_sizes is not None)
    return DeclarationsFile(path, "sla", read, recorder.business.set_slas, recorder.sources)
