"""Hosts, processes, thread pools, Kubernetes."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import statetimeline, table, timeseries

from monitoring.dashboards.operational.constants import MEMORY_LIMIT, OF_KUBERNETES, RESOURCES, RESTART_LIMIT
from monitoring.dashboards.panels import (
    About,
    Column,
    Signal,
    rows,
    states,
    trend,
)
from monitoring.dashboards.queries import rate, scraped, series, total
from monitoring.dashboards.thresholds import rising
from trust_otel.semconv.metrics import (
    PROCESS_CPU_TIME,
    PROCESS_MEMORY_USAGE,
    TRUST_EXECUTOR_QUEUE_SIZE,
    TRUST_EXECUTOR_THREADS,
)

_DISKS: Final = 'fstype!~"ramfs|squashfs|iso9660|overlay|tmpfs"'


def hosts() -> timeseries.Panel:
    """O7."""
    return trend(
        About(
            RESOURCES,
            "Resource utilisation of hosts",
            "CPU, memory, and the fullest disk of each host, with the limit of memory as a dashed line.",
            "CPU: is it the service (see below) or a neighbour? Memory: it ends with a process killed; find who "
            "grows. Disk: the runbook says what may be deleted.",
            "No node exporter is scraped.",
            alerts=(
                "TrustHostMemoryHigh",
                "TrustHostDiskSpaceLow",
                "TrustContainerMemoryHigh",
                "TrustKubernetesNodeUnhealthy",
                "TrustContainerRestartLoop",
                "TrustNetworkProblems",
            ),
        ),
        "percentunit",
        (
            Signal(
                "{{instance}} CPU",
                'sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[$__rate_interval]))'
                " / sum by (instance) (rate(node_cpu_seconds_total[$__rate_interval]))",
            ),
            Signal(
                "{{instance}} memory",
                "max by (instance) (1 - node_memory_MemAvailable_bytes / (node_memory_MemTotal_bytes > 0))",
            ),
            Signal(
                "{{instance}} disk",
                f"max by (instance) (1 - {scraped('node_filesystem_avail_bytes', _DISKS)}"
                f" / ({scraped('node_filesystem_size_bytes', _DISKS)} > 0))",
            ),
        ),
        levels=rising(red=MEMORY_LIMIT),
        most=1,
    )


def processes() -> timeseries.Panel:
    """O7, by instance."""
    return trend(
        About(
            29,
            "CPU of the service",
            "Processors that each instance keeps busy; 1 is a whole one.",
            "One Python process uses little more than 1. Near it, latency rises: add instances.",
            "No process has been heard of in this time.",
        ),
        "short",
        (
            Signal(
                "{{service_name}} {{service_instance_id}}",
                total(rate(PROCESS_CPU_TIME), "service_name", "service_instance_id"),
            ),
        ),
    )


def memory() -> timeseries.Panel:
    """O7, by instance."""
    return trend(
        About(
            30,
            "Memory of the service",
            "Physical memory of each instance.",
            "It grows for hours and never falls: a leak. Restart the instance before the kernel does, and look for "
            "the cause.",
            "No process has been heard of in this time.",
        ),
        "bytes",
        (
            Signal(
                "{{service_name}} {{service_instance_id}}",
                total(series(PROCESS_MEMORY_USAGE), "service_name", "service_instance_id"),
            ),
        ),
    )


def thread_pools() -> timeseries.Panel:
    """O7, inside of the process."""
    return trend(
        About(
            31,
            "Thread pools",
            "Worker threads by state, and tasks that wait for one.",
            "Tasks wait for long: all threads are busy, often with a slow dependency. More threads help only if it "
            "can take more.",
            "No thread pool has been seen.",
        ),
        "short",
        (
            Signal(
                "{{trust_executor_name}} {{trust_executor_state}}",
                total(series(TRUST_EXECUTOR_THREADS), "trust_executor_name", "trust_executor_state"),
            ),
            Signal("{{trust_executor_name}} waiting", total(series(TRUST_EXECUTOR_QUEUE_SIZE), "trust_executor_name")),
        ),
        width=12,
    )


def kubernetes() -> statetimeline.Panel:
    """O7, where it runs in Kubernetes."""
    return states(
        About(
            33,
            "Kubernetes nodes",
            "Whether each node is ready to run pods.",
            "A node that is not ready: its pods move after five minutes. `kubectl describe node` says why.",
            OF_KUBERNETES,
            alerts=("TrustKubernetesNodeUnhealthy",),
        ),
        (
            Signal(
                "{{node}}",
                'max by (node) (kube_node_status_condition{condition="Ready", status="true"})',
            ),
        ),
        words={"1": ("ready", "green"), "0": ("not ready", "red")},
        width=12,
    )


def restarts() -> table.Panel:
    """O7, where it runs in Kubernetes."""
    return rows(
        About(
            34,
            "Container restarts",
            "Restarts of each container in the last 15 minutes.",
            "`kubectl logs --previous` shows why it ended; OOMKilled means that its memory limit is too low, or that "
            "it "
            "leaks.",
            OF_KUBERNETES,
            alerts=("TrustContainerRestartLoop",),
        ),
        {"namespace": "Namespace", "pod": "Pod", "container": "Container"},
        (
            Column(
                "Restarts",
                "sum by (namespace, pod, container) (increase(kube_pod_container_status_restarts_total[15m]))",
                "none",
                levels=rising(yellow=1, red=RESTART_LIMIT),
                width=90,
            ),
        ),
        sort="Restarts",
        width=12,
    )
