"""The container metrics of a node's kubelet (cAdvisor).

Besides containers there are series without `container`: for the node, for each pod, and for each pod's sandbox, which
has the network metrics. A rule that sums over all of them counts the same memory several times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256

from testbed.drill.kubernetes.cluster import Cluster, Node, Pod, Traffic
from testbed.drill.kubernetes.exposition import Family, Sample

_SANDBOX_IMAGE = "pause:3.10"
_SANDBOX_BYTES = 380 * 2**10
_BYTES_PER_PACKET = 600


def families(cluster: Cluster, node: Node) -> Iterator[Family]:
    """The metric families of a node."""
    now = int(cluster.clock() * 1000)
    pods = [pod for pod in cluster.pods if pod.node is node]
    yield Family(
        "container_cpu_usage_seconds_total",
        "counter",
        "CPU time.",
        (Sample({**_container(pod), "cpu": "total"}, pod.processor_seconds.count(), now) for pod in pods),
    )
    for name in ("container_memory_working_set_bytes", "container_memory_usage_bytes"):
        yield Family(name, "gauge", "Memory in use.", list(_memory(node, pods, now)))
    yield Family(
        "container_spec_memory_limit_bytes",
        "gauge",
        "Memory limit; 0 if unlimited.",
        [Sample(_ROOT, 0, now), *(Sample(_container(pod), pod.memory_limit_bytes, now) for pod in pods)],
    )
    for direction in ("receive", "transmit"):
        yield from _network(pods, direction, now)
    machine = {"boot_id": _digest(f"boot {node.name}"), "machine_id": _digest(node.name), "system_uuid": ""}
    yield Family("machine_memory_bytes", "gauge", "Memory of the machine.", [Sample(machine, node.memory_bytes)])


def _memory(node: Node, pods: list[Pod], now: int) -> Iterator[Sample]:
    yield Sample(_ROOT, node.memory_bytes / 2, now)
    for pod in pods:
        yield Sample(_whole_pod(pod), pod.working_set_bytes + _SANDBOX_BYTES, now)
        yield Sample(_sandbox(pod), _SANDBOX_BYTES, now)
        yield Sample(_container(pod), pod.working_set_bytes, now)


def _network(pods: list[Pod], direction: str, now: int) -> Iterator[Family]:
    def family(what: str, help_text: str) -> Family:
        return Family(
            f"container_network_{direction}_{what}_total",
            "counter",
            help_text,
            [
                Sample({**_sandbox(pod), "interface": "eth0"}, _counted(_traffic(pod, direction), what), now)
                for pod in pods
            ],
        )

    yield family("bytes", "Bytes on the network.")
    yield family("errors", "Errors on the network.")
    yield family("packets", "Packets on the network.")
    yield family("packets_dropped", "Dropped packets.")


def _traffic(pod: Pod, direction: str) -> Traffic:
    return pod.received if direction == "receive" else pod.sent


def _counted(traffic: Traffic, what: str) -> int:
    counter = {"errors": traffic.errors, "packets_dropped": traffic.dropped}.get(what, traffic.packets)
    return int(counter.count()) * (_BYTES_PER_PACKET if what == "bytes" else 1)


_ROOT = {"container": "", "id": "/", "image": "", "name": "", "namespace": "", "pod": ""}


def _container(pod: Pod) -> Mapping[str, str]:
    return _labels(pod, pod.container, f"{pod.container}:1.0.0")


def _sandbox(pod: Pod) -> Mapping[str, str]:
    return _labels(pod, "", _SANDBOX_IMAGE)


def _whole_pod(pod: Pod) -> Mapping[str, str]:
    return {**_ROOT, "id": _group(pod), "namespace": pod.namespace, "pod": pod.name}


def _labels(pod: Pod, container: str, image: str) -> Mapping[str, str]:
    name = _digest(f"{pod.uid} {container} {pod.restarts if container else ''}")
    return {
        "container": container,
        "id": f"{_group(pod)}/cri-containerd-{name}.scope",
        "image": image,
        "name": name,
        "namespace": pod.namespace,
        "pod": pod.name,
    }


def _group(pod: Pod) -> str:
    slices = "/kubepods.slice/kubepods-burstable.slice"
    return f"{slices}/kubepods-burstable-pod{pod.uid.replace('-', '_')}.slice"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
