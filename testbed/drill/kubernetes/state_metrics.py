"""The cluster's metrics of kube-state-metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from uuid import NAMESPACE_DNS, uuid5

from testbed.drill.kubernetes.cluster import STATUSES, Cluster, Node, Pod
from testbed.drill.kubernetes.exposition import Family, Sample

_PHASES = ("Pending", "Succeeded", "Failed", "Unknown", "Running")


def families(cluster: Cluster) -> Iterator[Family]:
    """The metric families of nodes, pods and containers."""
    yield from _nodes(cluster)
    yield from _pods(cluster)
    yield from _containers(cluster.pods)


def _nodes(cluster: Cluster) -> Iterator[Family]:
    nodes = cluster.nodes
    yield Family(
        "kube_node_info", "gauge", "Information about a node.", (Sample(_node_info(node), 1) for node in nodes)
    )
    yield Family(
        "kube_node_created",
        "gauge",
        "Unix creation timestamp of a node.",
        (Sample({"node": node.name}, cluster.created) for node in nodes),
    )
    yield Family(
        "kube_node_spec_unschedulable",
        "gauge",
        "1 if a node is cordoned.",
        (Sample({"node": node.name}, node.unschedulable) for node in nodes),
    )
    yield Family(
        "kube_node_status_condition",
        "gauge",
        "1 for the current status of a node's condition.",
        (
            Sample({"node": node.name, "condition": condition, "status": status}, status == now)
            for node in nodes
            for condition, now in node.conditions.items()
            for status in STATUSES
        ),
    )
    for name in ("capacity", "allocatable"):
        yield Family(
            f"kube_node_status_{name}",
            "gauge",
            f"Resources of a node: {name}.",
            (Sample({"node": node.name, "resource": "memory", "unit": "byte"}, node.memory_bytes) for node in nodes),
        )


def _pods(cluster: Cluster) -> Iterator[Family]:
    pods = cluster.pods
    yield Family("kube_pod_info", "gauge", "Labels of a pod.", (_pod_info(pod) for pod in pods))
    yield Family(
        "kube_pod_status_phase",
        "gauge",
        "1 for the current phase of a pod.",
        (Sample({**_pod(pod), "phase": phase}, phase == "Running") for pod in pods for phase in _PHASES),
    )
    yield Family(
        "kube_pod_status_ready",
        "gauge",
        "1 for the current readiness of a pod.",
        (
            Sample({**_pod(pod), "condition": condition}, condition == ("false" if pod.waiting else "true"))
            for pod in pods
            for condition in STATUSES
        ),
    )


def _containers(pods: Iterable[Pod]) -> Iterator[Family]:
    yield Family("kube_pod_container_info", "gauge", "Labels of a container.", (_container_info(pod) for pod in pods))
    yield Family(
        "kube_pod_container_status_restarts_total",
        "counter",
        "Number of container restarts.",
        (Sample(_container(pod), pod.restarts) for pod in pods),
    )
    for name in ("waiting", "running", "terminated", "ready"):
        yield Family(
            f"kube_pod_container_status_{name}",
            "gauge",
            f"1 if a container is {name}.",
            (Sample(_container(pod), _is(pod, name)) for pod in pods),
        )
    yield Family(
        "kube_pod_container_status_waiting_reason",
        "gauge",
        "Reason of a waiting container.",
        (Sample({**_container(pod), "reason": "CrashLoopBackOff"}, 1) for pod in pods if pod.waiting),
    )
    yield Family(
        "kube_pod_container_status_last_terminated_reason",
        "gauge",
        "Reason of a container's last termination.",
        (Sample({**_container(pod), "reason": "Error"}, 1) for pod in pods if pod.waiting or pod.restarts),
    )
    yield Family(
        "kube_pod_container_resource_limits",
        "gauge",
        "Resource limits of a container.",
        (
            Sample(
                {**_container(pod), "node": pod.node.name, "resource": "memory", "unit": "byte"}, pod.memory_limit_bytes
            )
            for pod in pods
        ),
    )


def _is(pod: Pod, name: str) -> bool:
    return {"waiting": pod.waiting, "terminated": False}.get(name, not pod.waiting)


def _node_info(node: Node) -> Mapping[str, str]:
    return {
        "node": node.name,
        "kernel_version": "6.1.0-40-amd64",
        "os_image": "Debian GNU/Linux 12 (bookworm)",
        "container_runtime_version": "containerd://2.1.4",
        "kubelet_version": "v1.37.2",
        "kubeproxy_version": "deprecated",
        "provider_id": "",
        "pod_cidr": "10.244.0.0/16",
        "system_uuid": str(uuid5(NAMESPACE_DNS, node.name)),
        "internal_ip": node.address,
    }


def _pod_info(pod: Pod) -> Sample:
    return Sample(
        {
            **_pod(pod),
            "host_ip": pod.node.address,
            "pod_ip": pod.node.address.replace("192.0.2", "10.244.0"),
            "node": pod.node.name,
            "created_by_kind": "ReplicaSet",
            "created_by_name": pod.name.rpartition("-")[0],
            "priority_class": "",
            "host_network": "false",
        },
        1,
    )


def _container_info(pod: Pod) -> Sample:
    return Sample(
        {
            **_container(pod),
            "image_spec": f"{pod.container}:1.0.0",
            "image": f"{pod.container}:1.0.0",
            "image_id": f"sha256:{pod.uid}",
            "container_id": f"containerd://{pod.uid}",
        },
        1,
    )


def _pod(pod: Pod) -> Mapping[str, str]:
    return {"namespace": pod.namespace, "pod": pod.name, "uid": pod.uid}


def _container(pod: Pod) -> Mapping[str, str]:
    return {**_pod(pod), "container": pod.container}
