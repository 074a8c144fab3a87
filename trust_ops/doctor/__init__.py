"""`trust-otel doctor`: checks the settings of a service, what they load, endpoints and sources, with remedies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trust_ops.doctor import configuration, endpoints, loading, sources
from trust_ops.doctor.finding import Finding

__all__ = ["Finding", "examine"]


def examine(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Run the checks one by one, yielding each result at once; network checks take up to their timeout."""
    for step in (configuration, loading, endpoints, sources):
        yield from step.check(environment)
