"""Background checks of the dependencies in TRUST_OTEL_DEPENDENCIES: whether each is up, and how long the check took."""

from __future__ import annotations

import atexit
from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel import settings
from trust_otel.metrics import recorder_of
from trust_otel.metrics.recorder import Recorder
from trust_otel.monitors.dependencies.checks import CheckResult, check
from trust_otel.monitors.dependencies.monitor import Monitor

__all__ = ["CheckResult", "DependencyInstrumentor", "check"]


class DependencyInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Checks every dependency periodically, each on its own thread, until the process exits."""

    _recorder: Recorder
    _monitors: list[Monitor]

    def instrumentation_dependencies(self) -> Collection[str]:
        """No required packages: a missing client library is reported in the check result."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        self._recorder = recorder_of(kwargs.get("metrics"))
        wanted = settings.current()
        self._monitors = [
            Monitor(dependency, wanted.dependency_interval, wanted.dependency_timeout, self._recorder)
            for dependency in wanted.dependencies or ()
        ]
        atexit.register(self._stop)
        for monitor in self._monitors:
            monitor.start()

    def _uninstrument(self, **kwargs: Any) -> None:
        atexit.unregister(self._stop)
        self._stop()
        for monitor in self._monitors:
            self._recorder.dependencies.remove_dependency(monitor.name)

    def _stop(self) -> None:
        # Cancel all checks first, so that they end at the same time.
        for monitor in self._monitors:
            monitor.cancel()
        for monitor in self._monitors:
            monitor.stop()
