"""Checks of what TRUST_OTEL_DEPENDENCIES names, in the background: whether it is up, and how long each check took."""

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
    """Checks every dependency at its own pace, on a thread of its own, until it is told to stop."""

    _recorder: Recorder
    _monitors: list[Monitor]

    def instrumentation_dependencies(self) -> Collection[str]:
        """What has to be installed: nothing, since a client library that is missing is reported as such."""
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
        # First all are told, then each is waited for, so that their ends do not add up.
        for monitor in self._monitors:
            monitor.call_off()
        for monitor in self._monitors:
            monitor.stop()
