"""Periodic checks of one dependency."""

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

_INITIAL_DELAY_SECONDS = 2.0
"""Minimum delay of the first check: loading a client library must not slow down the start of the service."""


class Monitor:
    """Checks a dependency periodically, records the results, and logs changes.

    Args:
        dependency: The dependency.
        interval: Seconds between the end of a check and the start of the next one.
        timeout: Timeout of a check in seconds.
        recorder: Records the results.
    """

    def __init__(self, dependency: Dependency, interval: float, timeout: float, recorder: Recorder) -> None:
        self._dependency = dependency
        self._timeout = timeout
        self._recorder = recorder
        self._delayed = False
        self._stopped = threading.Event()
        self._check: Check | None = None
        self._error_type: str | None = None
        self._periodic = Periodic(f"trust-otel dependency {dependency.name}", interval, self._run)

    @property
    def name(self) -> str:
        """Value of `trust.dependency.name`."""
        return self._dependency.name

    def start(self) -> None:
        """Start the checks."""
        self._periodic.start()

    def cancel(self) -> None:
        """Cancel the running check and start no other."""
        self._stopped.set()
        if self._check is not None:
            self._check.cancel()

    def stop(self) -> None:
        """Stop the checks and wait until the running one has ended."""
        self.cancel()
        self._periodic.stop()

    def _run(self) -> None:
        if not self._delayed:
            self._stopped.wait(uniform(_INITIAL_DELAY_SECONDS, 2 * _INITIAL_DELAY_SECONDS))  # noqa: S311 - no secret
            self._delayed = True
        began, done = monotonic(), False
        # A fork cancels the check, which then starts again within the same timeout.
        while not done and not self._stopped.is_set():
            check = self._check = Check(self._dependency, self._timeout - (monotonic() - began))
            with fork_guard.registered(check):
                done = self._complete(check)
        self._check = None

    def _complete(self, check: Check) -> bool:
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
