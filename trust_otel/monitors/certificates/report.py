"""The result of reading a source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceReport:
    """The result of reading an entry of TRUST_OTEL_CERTIFICATES.

    Attributes:
        name: Its name or location, without credentials.
        problem: What cannot be read, and a fix; `None` if there is no problem.
        certificates: Number of certificates.
        soonest_not_after: When the first of them expires, as Unix time in seconds; `None` if there are none.
    """

    name: str
    problem: str | None
    certificates: int = 0
    soonest_not_after: float | None = None
