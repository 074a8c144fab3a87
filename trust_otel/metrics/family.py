"""What every family of metrics has."""

from __future__ import annotations

from trust_otel.recording.instruments import Instruments


class Family:
    """Metrics on one subject, a part of the `Recorder`; creates its instruments once."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._dropped = instruments.dropped


def outcome(success: bool) -> str:
    """Value of `trust.outcome` for something that either worked or was refused."""
    return "success" if success else "failure"
