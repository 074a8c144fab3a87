"""The local stack: Collector, Prometheus and what alerts need, as ordinary processes on loopback."""

from trust_otel.stack.errors import BinaryUnavailable, BuildError, ComponentError, StackError
from trust_otel.stack.inputs import Inputs
from trust_otel.stack.local import Stack
from trust_otel.stack.promql import PrometheusClient, QueryError, Sample
from trust_otel.stack.state import Addresses, ComponentStatus
from trust_otel.stack.targets import Target

__all__ = [
    "Addresses",
    "BinaryUnavailable",
    "BuildError",
    "ComponentError",
    "ComponentStatus",
    "Inputs",
    "PrometheusClient",
    "QueryError",
    "Sample",
    "Stack",
    "StackError",
    "Target",
]
