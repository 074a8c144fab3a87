"""The local stack: Collector, Prometheus and Alertmanager as ordinary processes on loopback."""

from trust_ops.stack.errors import BinaryUnavailable, BuildError, ComponentError, StackError
from trust_ops.stack.inputs import Inputs
from trust_ops.stack.prometheus_api import PrometheusClient, QueryError, Sample
from trust_ops.stack.stack import Stack
from trust_ops.stack.state import Addresses, ComponentStatus
from trust_ops.stack.targets import Target

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
