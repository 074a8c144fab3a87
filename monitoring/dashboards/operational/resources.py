"""Hosts, processes, thread pools and Kubernetes."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import statetimeline, table, timeseries

from monitoring.dashboards.operational.constants import MEMORY_LIMIT, NO_KUBERNETES, RESOURCES, RESTART_LIMIT
from monitoring.dashboards.panels import (
    Column,
    PanelText,
    Query,
    state_timeline_panel,
    table_panel,
    time_series_panel,
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


def host_resources() -> timeseries.Panel:
    """CPU, memory and disk of the hosts."""
    return time_series_panel(
        PanelText(
            RESOURCES,
            "Host resource utilisation",
            "CPU and memory usage and the fullest file system of each host. The dashed line is the memory alert "
            "threshold.",
            "CPU: check whether the service (see CPU usage by instance) or another process uses it. Memory: find "
            "the process that grows before the kernel kills it. Disk: the runbook lists what can be deleted.",
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
            Query(
                "{{instance}} CPU",
                'sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[$__rate_interval]))'
                " / sum by (instance) (rate(node_cpu_seconds_total[$__rate_interval]))",
            ),
            Query(
                "{{instance}} memory",
                "max by (instance) (1 - node_memory_MemAvailable_bytes / (node_memory_MemTotal_bytes > 0))",
            ),
            Query(
                "{{instance}} disk",
                f"max by (instance) (1 - {scraped('node_filesystem_avail_bytes', _DISKS)}"
                f" / ({scraped('node_filesystem_size_bytes', _DISKS)} > 0))",
            ),
        ),
        levels=rising(red=MEMORY_LIMIT),
        max_value=1,
    )


def cpu_usage() -> timeseries.Panel:
    """CPU usage of the service instances."""
    return time_series_panel(
        PanelText(
            29,
            "CPU usage by instance",
            "CPU cores used by each instance.",
            "A Python process uses little more than one core. Close to 1, latency rises: add instances.",
            "No service reports CPU time in the selected time range.",
        ),
        "short",
        (
            Query(
                "{{service_name}} {{service_instance_id}}",
                total(rate(PROCESS_CPU_TIME), "service_name", "service_instance_id"),
            ),
        ),
    )


def memory_usage() -> timeseries.Panel:
    """Memory usage of the service instances."""
    return time_series_panel(
        PanelText(
            30,
            "Memory usage by instance",
            "Resident memory of each instance.",
            "Growth over hours without a drop is a memory leak: restart the instance before it is OOM-killed, and "
            "look for the cause.",
            "No service reports memory usage in the selected time range.",
        ),
        "bytes",
        (
            Query(
                "{{service_name}} {{service_instance_id}}",
                total(series(PROCESS_MEMORY_USAGE), "service_name", "service_instance_id"),
            ),
        ),
    )


def thread_pools() -> timeseries.Panel:
    """Worker threads and queued tasks."""
    return time_series_panel(
        PanelText(
            31,
            "Thread pools",
            "Active and maximum worker threads, and tasks waiting for a thread, by thread pool.",
            "Tasks wait for long: all threads are busy, often with a slow dependency. More threads help only if the "
            "dependency can handle more load.",
            "No thread pool was recorded.",
        ),
        "short",
        (
            Query(
                "{{trust_executor_name}} {{trust_executor_state}}",
                total(series(TRUST_EXECUTOR_THREADS), "trust_executor_name", "trust_executor_state"),
            ),
            Query("{{trust_executor_name}} waiting", total(series(TRUST_EXECUTOR_QUEUE_SIZE), "trust_executor_name")),
        ),
        width=12,
    )


def node_readiness() -> statetimeline.Panel:
    """Readiness of the Kubernetes nodes."""
    return state_timeline_panel(
        PanelText(
            33,
            "Kubernetes node readiness",
            "Ready condition of each Kubernetes node.",
            "Not ready: Kubernetes evicts its pods after 5 minutes. Find the reason with `kubectl describe node`.",
            NO_KUBERNETES,
            alerts=("TrustKubernetesNodeUnhealthy",),
        ),
        (
            Query(
                "{{node}}",
                'max by (node) (kube_node_status_condition{condition="Ready", status="true"})',
            ),
        ),
        texts={"1": ("ready", "green"), "0": ("not ready", "red")},
        width=12,
    )


def container_restarts() -> table.Panel:
    """Container restarts in Kubernetes."""
    return table_panel(
        PanelText(
            34,
            "Container restarts",
            "Restarts of each container in the last 15 minutes.",
            "Read the log of the previous container with `kubectl logs --previous`. OOMKilled: the memory limit is "
            "too low, or the process leaks memory.",
            NO_KUBERNETES,
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
