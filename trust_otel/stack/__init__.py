"""The local stack: Collector and Prometheus as ordinary processes on loopback."""

from trust_otel.stack.errors import BinaryUnavailable, BuildError, ComponentError, StackError
from trust_otel.stack.local import Stack
from trust_otel.stack.promql import PrometheusClient, QueryError, Sample
from trust_otel.stack.state import Addresses, ComponentStatus

__all__ = [
    "Addresses",
    "BinaryUnavailable",
    "BuildError",
    "ComponentError",
    "ComponentStatus",
    "PrometheusClient",
    "QueryError",
    "Sample",
    "Stack",
    "StackError",
]
