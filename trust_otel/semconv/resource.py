"""Resource attributes that are labels of every series, on each path to Prometheus."""

from typing import Final

PROMOTED: Final = (
    "service.name",
    "service.namespace",
    "service.version",
    "service.instance.id",
    "deployment.environment.name",
    "host.name",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.deployment.name",
    "k8s.pod.name",
    "k8s.container.name",
    "k8s.node.name",
)
"""The configuration of Prometheus and of the Collector has the same list; a test compares them."""
