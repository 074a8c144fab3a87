"""One dependency, watched."""

from __future__ import annotations

import logging
import threading
from random import uniform
from time import monotonic

from trust_otel.background import Periodic
from trust_otel.metrics.recorder import Recorder
from trust_otel.monitors.dependencies import fork_guard
from trust_otel.monitors.dependencies.checks import Check, CheckResult
from trust_otel.setting_lists import Dependency

_logger = logging.getLogger(__name__)

_SETTLING_SECONDS = 2.0
"""How long the first check waits at least: loading a client library must not slow down the start of the service."""


class Monitor:
    """Checks a dependency again and again, and records and logs what comes of it.

    Args:
        dependency: What to check.
        interval: Seconds from the end of a check to the next one.
        timeout: Seconds after which a check has failed.
        recorder: Where the checks are recorded.
    """

    def __init__(self, dependency: Dependency, interval: float, timeout: float, recorder: Recorder) -> None:
        self._dependency = dependency
        self._timeout = timeout
        self._recorder = recorder
        self._settled = False
        self._stopped = threading.Event()
        self._check: Check | None = None
        self._error_type: str | None = None
        self._periodic = Periodic(f"trust-otel dependency {dependency.name}", interval, self._run)

    @property
    def name(self) -> str:
        """Value of `trust.dependency.name`."""
        return self._dependency.name

    def start(self) -> None:
        """Begin."""
        self._periodic.start()

    def call_off(self) -> None:
        """Tell the check under way to end, and begin no other."""
        self._stopped.set()
        if self._check is not None:
            self._check.call_off()

    def stop(self) -> None:
        """End; returns when the check under way has ended."""
        self.call_off()
        self._periodic.stop()

    def _run(self) -> None:
        if not self._settled:
            self._stopped.wait(uniform(_SETTLING_SECONDS, 2 * _SETTLING_SECONDS))  # noqa: S311 - no secret
            self._settled = True
        began, done = monotonic(), False
        # A fork calls a check off, which then begins again; the time that it may take goes on.
        while not done and not self._stopped.is_set():
            check = self._check = Check(self._dependency, self._timeout - (monotonic() - began))
            with fork_guard.excluded(check):
                done = self._checked(check)
        self._check = None

    def _checked(self, check: Check) -> bool:
        if self._stopped.is_set():
            return False
        result = check.run()
        if result is None or self._stopped.is_set():
            return False
        self._record(result)
        return True

    def _record(self, result: CheckResult) -> None:
        self._recorder.dependencies.record_dependency(
            self._dependency.name,
            dependency_type=self._dependency.type,
            up=result.up,
            duration=result.seconds,
            error_type=result.error_type,
        )
        if result.error_type != self._error_type:
            if result.up:
                _logger.info("trust-otel: dependency %s is up again", self.name)
            else:
                _logger.warning("trust-otel: dependency %s is down: %s", self.name, result.error_type)
        self._error_type = result.error_type
