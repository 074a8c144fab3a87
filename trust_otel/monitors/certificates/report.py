"""What was found at a source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceReport:
    """An entry of TRUST_OTEL_CERTIFICATES after a look at it.

    Attributes:
        name: Its name or location, without credentials.
        problem: What cannot be read, and what helps; `None` when all is well.
        certificates: How many certificates it gave.
        soonest_not_after: The first end of validity among them, as Unix time in seconds; `None` without any.
    """

    name: str
    problem: str | None
    certificates: int = 0
    soonest_not_after: float | None = None
