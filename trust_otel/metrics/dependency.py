"""What the service needs in order to work."""

from __future__ import annotations

from trust_otel.metrics.family import Family
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Instruments
from trust_otel.semconv.attributes import ERROR_TYPE
from trust_otel.semconv.metrics import TRUST_DEPENDENCY_CHECK_DURATION, TRUST_DEPENDENCY_UP


class DependencyMetrics(Family):
    """Health of the dependencies."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._dependency_up = instruments.gauge(TRUST_DEPENDENCY_UP)
        self._dependency_checks = instruments.histogram(TRUST_DEPENDENCY_CHECK_DURATION)

    @fail_open
    def record_dependency(
        self,
        name: str,
        *,
        dependency_type: str,
        up: bool,
        duration: float | None = None,
        error_type: str | None = None,
    ) -> None:
        """Record a check of a dependency.

        Args:
            name: Name of the dependency, without credentials or address.
            dependency_type: `vault`, `pki`, `database`, `cache`, `http` or `grpc`.
            up: Whether it answered as it should.
            duration: Seconds that the check took.
            error_type: Why it is not up, such as `timeout` or `sealed`.
        """
        labels = {"trust.dependency.name": name, "trust.dependency.type": dependency_type}
        self._dependency_up.set(1 if up else 0, labels)
        if duration is not None:
            self._dependency_checks(duration, {**labels, "error.type": None if up else error_type or ERROR_TYPE.other})

    @fail_open
    def remove_dependency(self, name: str) -> None:
        """Stop showing a dependency; its series ends."""
        self._dependency_up.remove({"trust.dependency.name": name})
