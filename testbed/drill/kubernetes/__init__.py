"""A fake Kubernetes cluster: the metrics of kube-state-metrics and kubelets, with nodes and pods that can fail.

Sources of names and labels: the documentation of kube-state-metrics 2 (docs/metrics), and cAdvisor's metrics as served
by a kubelet with containerd at /metrics/cadvisor.
"""

from testbed.drill.kubernetes.cluster import Cluster, Node, Pod
from testbed.drill.kubernetes.server import Kubernetes

__all__ = ["Cluster", "Kubernetes", "Node", "Pod"]
