"""The simulated Kubernetes: metrics as kube-state-metrics and a kubelet export them, and injected faults."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from testbed.drill.kubernetes import Cluster, Kubernetes
from testbed.drill.kubernetes import kubelet as kubelet_page
from testbed.drill.kubernetes import state_metrics as state_page
from testbed.drill.kubernetes.exposition import Family, Sample, page
from trust_ops.stack import Target

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cluster(clock: Clock) -> Cluster:
    return Cluster(clock)


def parsed(text: str) -> Series:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def matching(series: Series, name: str, **labels: str) -> list[float]:
    return [value for (found, has), value in series.items() if found == name and labels.items() <= dict(has).items()]


def state(cluster: Cluster) -> Series:
    return parsed(page(state_page.families(cluster)))


def kubelet(cluster: Cluster) -> Series:
    return parsed(page(kubelet_page.families(cluster, cluster.nodes[0])))


# kube-state-metrics, docs/metrics/cluster/node-metrics.md and docs/metrics/workload/pod-metrics.md.
_CONTAINER = {"namespace", "pod", "uid", "container"}
_STATE_LABELS = {
    "kube_node_spec_unschedulable": {"node"},
    "kube_node_status_condition": {"node", "condition", "status"},
    "kube_pod_status_phase": {"namespace", "pod", "uid", "phase"},
    "kube_pod_container_status_restarts_total": _CONTAINER,
    "kube_pod_container_status_waiting_reason": _CONTAINER | {"reason"},
    "kube_pod_container_status_last_terminated_reason": _CONTAINER | {"reason"},
    "kube_pod_container_resource_limits": _CONTAINER | {"node", "resource", "unit"},
}
# cAdvisor, docs/storage/prometheus.md; the labels are the kubelet's.
_KUBELET = {"container", "id", "image", "name", "namespace", "pod"}
_KUBELET_LABELS = {
    "container_memory_working_set_bytes": _KUBELET,
    "container_spec_memory_limit_bytes": _KUBELET,
    "container_network_receive_errors_total": _KUBELET | {"interface"},
    "container_network_receive_packets_total": _KUBELET | {"interface"},
    "container_network_transmit_packets_dropped_total": _KUBELET | {"interface"},
}


def test_series_have_the_labels_of_the_real_exporters(cluster: Cluster) -> None:
    cluster.pods[0].start_crash_loop(every=60)
    for expected, series in ((_STATE_LABELS, state(cluster)), (_KUBELET_LABELS, kubelet(cluster))):
        found: dict[str, set[str]] = {}
        for name, labels in series:
            found.setdefault(name, set(dict(labels))).intersection_update(dict(labels))
        assert {name: found[name] for name in expected} == expected


def test_a_condition_has_exactly_one_status(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    node.set_condition("Ready", "unknown")
    node.set_condition("NetworkUnavailable", "true")
    shown = state(cluster)
    for condition, status in node.conditions.items():
        for each in ("true", "false", "unknown"):
            assert matching(shown, "kube_node_status_condition", node=node.name, condition=condition, status=each) == [
                each == status
            ]
    assert matching(shown, "kube_node_status_condition", node="worker-2", condition="Ready", status="true") == [1]


def test_an_unknown_node_condition_is_rejected(cluster: Cluster) -> None:
    with pytest.raises(ValueError, match="a node has no condition Redy=true"):
        cluster.nodes[0].set_condition("Redy", "true")


def test_a_cordoned_node_is_unschedulable(cluster: Cluster) -> None:
    cluster.nodes[1].unschedulable = True
    shown = state(cluster)
    assert matching(shown, "kube_node_spec_unschedulable", node="worker-1") == [0]
    assert matching(shown, "kube_node_spec_unschedulable", node="worker-2") == [1]


def test_a_recovered_pod_stops_restarting_and_keeps_its_restart_count(cluster: Cluster, clock: Clock) -> None:
    pod = cluster.pods[0]

    def pod_series() -> tuple[list[float], list[float], list[float]]:
        shown = state(cluster)
        return (
            matching(shown, "kube_pod_container_status_restarts_total", pod=pod.name),
            matching(shown, "kube_pod_container_status_waiting_reason", pod=pod.name, reason="CrashLoopBackOff"),
            matching(shown, "kube_pod_container_status_running", pod=pod.name),
        )

    assert pod_series() == ([0], [], [1])
    pod.start_crash_loop(every=10)
    assert pod_series() == ([0], [1], [0])
    clock.now += 11
    assert pod_series() == ([1], [], [1])
    clock.now += 5
    assert pod_series() == ([1], [1], [0])
    clock.now += 35
    pod.recover()
    clock.now += 100
    assert pod_series() == ([5], [], [1])
    pod.start_crash_loop(every=10)
    clock.now += 10
    assert pod_series() == ([6], [], [1])
    assert matching(state(cluster), "kube_pod_container_status_restarts_total", pod=cluster.pods[1].name) == [0]


def test_memory_is_set_on_the_container_series_only(cluster: Cluster) -> None:
    pod = cluster.pods[0]
    pod.working_set_bytes = 500 * 2**20
    shown = kubelet(cluster)
    name = "container_memory_working_set_bytes"
    assert matching(shown, name, pod=pod.name, container="trust-service") == [500 * 2**20]
    assert len(matching(shown, name, pod=pod.name, container="")) == 2
    assert len(matching(shown, name, id="/", container="", pod="")) == 1
    limit = matching(state(cluster), "kube_pod_container_resource_limits", pod=pod.name, resource="memory", unit="byte")
    assert limit == [512 * 2**20]


def test_a_failing_network_counts_errors_and_counters_never_decrease(cluster: Cluster, clock: Clock) -> None:
    pod = cluster.pods[0]

    def counted(what: str) -> float:
        (value,) = matching(kubelet(cluster), f"container_network_receive_{what}_total", pod=pod.name)
        return value

    clock.now += 10
    assert (counted("packets"), counted("errors")) == (4000, 0)
    pod.received.fail(0.05)
    clock.now += 10
    assert (counted("packets"), counted("errors")) == (8000, 200)
    pod.received.fail(0)
    clock.now += 10
    assert (counted("packets"), counted("errors")) == (12000, 200)


def test_a_kubelet_exports_its_own_pods_with_timestamps(cluster: Cluster, clock: Clock) -> None:
    text = page(kubelet_page.families(cluster, cluster.nodes[1]))
    assert cluster.pods[1].name in text
    assert cluster.pods[0].name not in text
    for line in text.splitlines():
        if line.startswith("container_"):
            assert line.endswith(f" {int(clock.now * 1000)}")


def test_label_values_are_escaped() -> None:
    family = Family("a", "gauge", "Help.", [Sample({"x": 'quote " backslash \\ newline \n'}, 1)])
    assert list(parsed(page([family]))) == [("a", frozenset({("x", 'quote " backslash \\ newline \n')}))]


@pytest.fixture
def served() -> Iterator[Kubernetes]:
    with Kubernetes() as kubernetes:
        yield kubernetes


def test_every_target_serves_the_current_state(served: Kubernetes) -> None:
    def get(target: Target) -> Series:
        answer = httpx.get(
            f"http://{target.address}{target.labels.get('__metrics_path__', '/metrics')}", trust_env=False
        )
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return parsed(answer.text)

    (target,) = served.state_metrics()
    assert matching(get(target), "kube_node_status_condition", node="worker-1", condition="Ready", status="true") == [1]
    served.cluster.nodes[0].set_condition("Ready", "false")
    assert matching(get(target), "kube_node_status_condition", node="worker-1", condition="Ready", status="true") == [0]
    for kubelet_target, pod in zip(served.kubelets(), served.cluster.pods, strict=True):
        assert matching(
            get(kubelet_target), "container_memory_working_set_bytes", pod=pod.name, container=pod.container
        )
    assert httpx.get(f"http://{target.address}/else", trust_env=False).status_code == 404
