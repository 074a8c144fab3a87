"""`trust-otel doctor`: walks the chain from the service's settings to the notification, and says how to mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trust_ops.doctor import configuration, endpoints, loading, sources
from trust_ops.doctor.finding import Finding

__all__ = ["Finding", "examine"]


def examine(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Run the checks one by one, yielding each result at once; network checks take up to their timeout."""
    for step in (configuration, loading, endpoints, sources):
        yield from step.check(environment)
