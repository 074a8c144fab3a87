"""SLAs in TRUST_OTEL_SLA_FILE, read at the start and again when the file changes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel import settings
from trust_otel.background import Periodic
from trust_otel.metrics import recorder_of
from trust_otel.metrics.recorder import Recorder
from trust_otel.metrics.sla import Sla, read_slas
from trust_otel.reloading_file import ReloadingFile

_CHECK_SECONDS: Final = 10.0


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
        self._sla_file = SlaFile(path, recorder_of(kwargs.get("metrics")))
        # Before the service records anything, so that its first events are evaluated.
        self._sla_file.read_if_changed()
        self._periodic = Periodic("trust-otel-sla", _CHECK_SECONDS, self._sla_file.read_if_changed)
        self._periodic.start()

    def _uninstrument(self, **kwargs: Any) -> None:
        self._periodic.stop()
        self._sla_file.remove()


class SlaFile:
    """A file with SLAs. If it cannot be read or is invalid, the last valid SLAs stay in use.

    Args:
        path: A TOML file.
        recorder: Evaluates the SLAs.
    """

    def __init__(self, path: str, recorder: Recorder) -> None:
        self._path = path
        self._recorder = recorder
        self._file: ReloadingFile[tuple[Sla, ...]] = ReloadingFile(path, read_slas, initial=())

    def read_if_changed(self) -> None:
        """Read the file if it has changed, and evaluate its SLAs from now on."""
        try:
            changed = self._file.read_if_changed()
        except ValueError as error:
            self._recorder.sources.record_source(self._path, kind="sla", problem=str(error))
            return
        if changed:
            self._recorder.business.set_slas(self._file.value)
            self._recorder.sources.record_source(self._path, kind="sla")

    def remove(self) -> None:
        """Stop evaluating the SLAs of the file."""
        self._recorder.business.set_slas(())
        self._recorder.sources.remove_source(self._path, kind="sla")
