"""Moments that a service gives."""

from __future__ import annotations

from datetime import datetime, timezone

from trust_otel.recording.instruments import finite


def unix_time(moment: object) -> float:
    """A `datetime` (UTC when without a zone) or a number as Unix time in seconds.

    Raises:
        ValueError: It is neither, or not finite.
        OverflowError: The platform cannot convert the `datetime`.
    """
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return aware.timestamp()
    seconds = finite(moment)
    if seconds is None:
        raise ValueError("no finite number")
    return seconds
