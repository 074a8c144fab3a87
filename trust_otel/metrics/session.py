"""User sessions."""

from __future__ import annotations

from trust_otel.metrics.family import Family
from trust_otel.recording.instruments import Instruments
from trust_otel.semconv.metrics import TRUST_SESSION_ACTIVE


class SessionMetrics(Family):
    """Sessions that are open now."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._sessions = instruments.up_down_counter(TRUST_SESSION_ACTIVE).bind()
        self._sessions(0)

    def session_started(self) -> None:
        """Note that a session opened."""
        self._sessions(1)

    def session_ended(self) -> None:
        """Note that a session closed or expired."""
        self._sessions(-1)
