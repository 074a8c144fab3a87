"""A Kubernetes cluster as kube-state-metrics and the kubelets show it, whose nodes and pods can be made to fail.

Source of names and labels: the documentation of kube-state-metrics 2 (docs/metrics), and cAdvisor's metrics as a
kubelet with containerd serves them at /metrics/cadvisor.
"""

from testbed.drill.kubernetes.cluster import Cluster, Node, Pod
from testbed.drill.kubernetes.server import Kubernetes

__all__ = ["Cluster", "Kubernetes", "Node", "Pod"]
