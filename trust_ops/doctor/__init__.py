"""`trust-otel doctor`: checks settings, what they load, endpoints, sources and Prometheus, with remedies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trust_ops.doctor import configuration, endpoints, loading, prometheus, sources
from trust_ops.doctor.finding import Finding

__all__ = ["Finding", "examine"]


def examine(environment: Mapping[str, str], prometheus_url: str | None = None) -> Iterator[Finding]:
    """Run the checks one by one, yielding each result at once; network checks take up to their timeout.

    Args:
        environment: That of the service.
        prometheus_url: URL of Prometheus, which may contain user and password; without it, it is not checked.
    """
    for step in (configuration, loading, endpoints, sources):
        yield from step.check(environment)
    if prometheus_url is not None:
        yield from prometheus.check(prometheus_url)
