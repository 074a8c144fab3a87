"""Timestamps (RFC 3161)."""

from __future__ import annotations

from trust_otel.metrics.family import Family
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Instruments, PositionalLabels
from trust_otel.semconv.metrics import TRUST_TIMESTAMP_ACCURACY, TRUST_TIMESTAMP_RESPONSES


class TimestampMetrics(Family):
    """What the timestamping authority of the service returns."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._responses = PositionalLabels(
            instruments.counter(TRUST_TIMESTAMP_RESPONSES), "trust.timestamp.status", "trust.timestamp.failure"
        )
        self._accuracy = instruments.histogram(TRUST_TIMESTAMP_ACCURACY)

    @fail_open
    def record_timestamp_response(
        self, status: str = "granted", *, failure: str | None = None, accuracy: float | None = None
    ) -> None:
        """Count a response of the service's timestamping authority.

        Args:
            status: PKIStatus, such as `granted` or `rejection` (RFC 3161, 2.4.2).
            failure: PKIFailureInfo of a refusal, such as `timeNotAvailable`.
            accuracy: Accuracy that the timestamp states, in seconds; `None` if it states none.
        """
        self._responses(1, status, failure)
        if accuracy is not None:
            self._accuracy(accuracy)
