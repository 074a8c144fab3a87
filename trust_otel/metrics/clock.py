"""The clock of the host, compared with time servers."""

from __future__ import annotations

from trust_otel.metrics.family import Family
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Instruments
from trust_otel.semconv.metrics import TRUST_CLOCK_OFFSET, TRUST_CLOCK_ROUND_TRIP


class ClockMetrics(Family):
    """The offset of the clock, as each time server sees it."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._offsets = instruments.gauge(TRUST_CLOCK_OFFSET)
        self._round_trips = instruments.gauge(TRUST_CLOCK_ROUND_TRIP)

    @fail_open
    def set_clock_offset(self, server: str, *, offset: float, round_trip: float) -> None:
        """Show the offset of the clock.

        Args:
            server: Name of the time server.
            offset: Time of the server less that of the clock, in seconds.
            round_trip: Time in seconds that the request and the response took on the network.
        """
        labels = {"trust.clock.server": server}
        self._offsets.set(offset, labels)
        self._round_trips.set(round_trip, labels)

    @fail_open
    def remove_clock_offset(self, server: str) -> None:
        """Stop showing the offset from a time server."""
        for gauge in (self._offsets, self._round_trips):
            gauge.remove({"trust.clock.server": server})
