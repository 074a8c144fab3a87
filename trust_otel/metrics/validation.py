"""Results of validations (ETSI EN 319 102-1)."""

from __future__ import annotations

from trust_otel.metrics.family import Family
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Instruments, PositionalLabels
from trust_otel.semconv.metrics import TRUST_VALIDATION_RESULTS


class ValidationMetrics(Family):
    """What validations of signatures resulted in."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._results = PositionalLabels(
            instruments.counter(TRUST_VALIDATION_RESULTS),
            "trust.validation.indication",
            "trust.validation.sub_indication",
        )

    @fail_open
    def record_validation_result(self, indication: str, *, sub_indication: str | None = None) -> None:
        """Count the result of a validation of a signature, a seal or a timestamp.

        Args:
            indication: `TOTAL-PASSED`, `TOTAL-FAILED` or `INDETERMINATE` (ETSI EN 319 102-1, 5.1.3).
            sub_indication: The reason, such as `HASH_FAILURE`; `None` for `TOTAL-PASSED`.
        """
        self._results(1, indication, sub_indication)
