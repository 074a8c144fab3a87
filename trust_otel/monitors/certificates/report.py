"""The result of reading a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trust_otel.monitors.certificates.names import printable

_MAX_LISTED: Final = 3


def summary(texts: Sequence[str]) -> str:
    """The first texts, and the number of the others."""
    more = len(texts) - _MAX_LISTED
    return printable("; ".join(texts[:_MAX_LISTED]) + (f"; and {more} more" if more > 0 else ""))


@dataclass(frozen=True)
class SourceReport:
    """The result of reading an entry of TRUST_OTEL_CERTIFICATES.

    Attributes:
        name: Its name or location, without credentials.
        problem: What cannot be read, and a fix; `None` if there is no problem.
        certificates: Number of certificates.
        soonest_not_after: When the first of them expires, as Unix time in seconds; `None` if there are none.
        ignored: The files of a folder that contain no certificate, each with what it contains instead.
    """

    name: str
    problem: str | None
    certificates: int = 0
    soonest_not_after: float | None = None
    ignored: tuple[str, ...] = ()
