"""Hosts, processes, thread pools and Kubernetes."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import statetimeline, table, timeseries

from monitoring.dashboards.operational.constants import (
    CONTAINER_MEMORY_LIMIT,
    DISK_LIMIT,
    FILE_SYSTEMS,
    MEMORY_LIMIT,
    NETWORK,
    NETWORK_LIMIT,
    NO_KUBERNETES,
    RESOURCES,
    RESTART_LIMIT,
)
from monitoring.dashboards.panels import (
    Column,
    PanelText,
    Query,
    state_timeline_panel,
    table_panel,
    time_series_panel,
)
from monitoring.dashboards.queries import (
    INSTANCE,
    highest,
    lowest,
    median,
    named,
    rate,
    scraped,
    series,
    total,
    with_label,
)
from monitoring.dashboards.template import OPERATIONAL, panel_url
from monitoring.dashboards.thresholds import falling, rising
from trust_otel.semconv.metrics import (
    PROCESS_CPU_TIME,
    PROCESS_MEMORY_USAGE,
    TRUST_EXECUTOR_QUEUE_SIZE,
    TRUST_EXECUTOR_THREADS,
)

_OF_THE_SITE: Final = " unless on (namespace) namespace:kube_pods_unmonitored:count"
_FILLED_DISKS: Final = 'fstype!~"ramfs|squashfs|iso9660|overlay"'
_DISKS: Final = 'fstype!~"ramfs|squashfs|iso9660|overlay|tmpfs"'


_WORST_AND_MEDIAN: Final = "the five instances that use the most, and the median instance of each service (dashed)."


def _worst_and_median(expression: str) -> tuple[Query, Query]:
    used = total(expression, *INSTANCE)
    return (
        Query("{{instance_name}}", highest(named(used))),
        Query("{{service_name}} median", median(used, "service_name"), dashed=True),
    )


def host_resources() -> timeseries.Panel:
    """CPU, memory and disk of the hosts."""
    return time_series_panel(
        PanelText(
            RESOURCES,
            "Host resource utilisation",
            "CPU usage, memory usage and the fullest file system, each of the three hosts with the highest values. The "
            "dashed line is the memory alert threshold.",
            "CPU: check whether the service (see CPU usage by instance) or another process uses it. Memory: find "
            "the process that grows before the kernel kills it. Disk: see File systems.",
            "No node exporter is scraped.",
            alerts=("TrustHostMemoryHigh",),
            links={"File systems": panel_url(OPERATIONAL, FILE_SYSTEMS)},
        ),
        "percentunit",
        (
            Query(
                "{{instance}} CPU",
                highest(
                    'sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[$__rate_interval]))'
                    " / (sum by (instance) (rate(node_cpu_seconds_total[$__rate_interval])) > 0)",
                    3,
                ),
            ),
            Query(
                "{{instance}} memory",
                highest("max by (instance) (1 - node_memory_MemAvailable_bytes / (node_memory_MemTotal_bytes > 0))", 3),
            ),
            Query(
                "{{instance}} disk",
                highest(
                    f"max by (instance) (1 - {scraped('node_filesystem_avail_bytes', _DISKS)}"
                    f" / ({scraped('node_filesystem_size_bytes', _DISKS)} > 0))",
                    3,
                ),
            ),
        ),
        levels=rising(red=MEMORY_LIMIT),
        highest_first=True,
        max_value=1,
    )


def file_systems() -> table.Panel:
    """Space of the file systems."""
    keys = {"instance": "Host", "mountpoint": "Mount point", "device": "Device", "fstype": "Type"}
    by = f"max by ({', '.join(keys)})"
    available = scraped("node_filesystem_avail_bytes", _FILLED_DISKS)
    free = f"{by} ({available} / (node_filesystem_size_bytes > 0) and node_filesystem_readonly == 0)"
    return table_panel(
        PanelText(
            FILE_SYSTEMS,
            "File systems",
            "Used and free space of each file system that can be written to. Space that is reserved for root does not "
            "count as free.",
            "The runbook lists what can be deleted.",
            "No node exporter is scraped.",
            alerts=("TrustHostDiskSpaceLow",),
        ),
        keys,
        (
            Column("Used", f"1 - {free}", "percentunit", width=80),
            Column("Free", free, "percentunit", levels=falling(red=DISK_LIMIT, yellow=2 * DISK_LIMIT), width=80),
            Column("Available", f"{by} ({available} and node_filesystem_readonly == 0)", "bytes", width=100),
        ),
        sort="Used",
        key_widths={"Type": 80},
        width=12,
    )


def network_errors() -> timeseries.Panel:
    """Share of packets with errors, and nodes without a network."""

    def packets(exporter: str, kind: str) -> str:
        return " + ".join(
            f"rate({exporter}_network_{direction}_{kind}_total[$__rate_interval])"
            for direction in ("receive", "transmit")
        )

    def erroneous(exporter: str, errors: str, *by: str) -> str:
        return f"({total(packets(exporter, errors), *by)} > 0) / {total(packets(exporter, 'packets'), *by)}"

    hosts = with_label(f"sum({packets('node', 'errs')}) * 0", "instance", "hosts: none")
    pods = with_label(f"sum({packets('container', 'errors')}) * 0", "pod", "pods: none")
    unavailable = 'kube_node_status_condition{condition="NetworkUnavailable", status="true"}'
    nodes = with_label(f"max({unavailable}) * 0", "node", "nodes: none")
    return time_series_panel(
        PanelText(
            NETWORK,
            "Network errors",
            "Share of packets with errors of each host interface, and of each pod in the namespaces of the site, that "
            "has any. A node whose network is unavailable is shown as 100 %.",
            "One interface: check its cable, driver and peer. Several hosts at the same time: check the switch or the "
            "network plug-in.",
            "Neither a node exporter nor Kubernetes is scraped.",
            alerts=("TrustNetworkProblems",),
        ),
        "percentunit",
        (
            Query("{{instance}} {{device}}", f"{erroneous('node', 'errs', 'instance', 'device')} or on () {hosts}"),
            Query(
                "{{pod}} {{namespace}}",
                f"{erroneous('container', 'errors', 'namespace', 'pod')}{_OF_THE_SITE} or on () {pods}",
            ),
            Query("{{node}} unavailable", f"max by (node) ({unavailable} == 1) or on () {nodes}"),
        ),
        levels=rising(red=NETWORK_LIMIT),
    )


def cpu_usage() -> timeseries.Panel:
    """CPU usage of the service instances."""
    return time_series_panel(
        PanelText(
            29,
            "CPU usage by instance",
            f"CPU cores: {_WORST_AND_MEDIAN}",
            "A Python process uses little more than one core. Close to 1, latency rises: add instances.",
            "No service reports CPU time in the selected time range.",
        ),
        "count:cores",
        _worst_and_median(rate(PROCESS_CPU_TIME)),
        highest_first=True,
    )


def memory_usage() -> timeseries.Panel:
    """Memory usage of the service instances."""
    return time_series_panel(
        PanelText(
            30,
            "Memory usage by instance",
            f"Resident memory: {_WORST_AND_MEDIAN}",
            "Growth over hours without a drop is a memory leak: restart the instance before it is OOM-killed, and "
            "look for the cause.",
            "No service reports memory usage in the selected time range.",
        ),
        "bytes",
        _worst_and_median(series(PROCESS_MEMORY_USAGE)),
        highest_first=True,
    )


def thread_pools() -> timeseries.Panel:
    """Worker threads and queued tasks."""
    return time_series_panel(
        PanelText(
            31,
            "Thread pools",
            "Active and maximum worker threads, and tasks waiting for a thread, by service and thread pool, over all "
            "instances.",
            "Tasks wait for long: all threads are busy, often with a slow dependency. More threads help only if the "
            "dependency can handle more load.",
            "No thread pool was recorded.",
        ),
        "short",
        (
            Query(
                "{{service_name}} {{trust_executor_name}} {{trust_executor_state}}",
                total(series(TRUST_EXECUTOR_THREADS), "service_name", "trust_executor_name", "trust_executor_state"),
            ),
            Query(
                "{{service_name}} {{trust_executor_name}} waiting",
                total(series(TRUST_EXECUTOR_QUEUE_SIZE), "service_name", "trust_executor_name"),
            ),
        ),
        width=12,
    )


def node_conditions() -> statetimeline.Panel:
    """Conditions of the Kubernetes nodes."""
    readiness = 'kube_node_status_condition{condition="Ready", status=~"false|unknown"}'
    problems = (
        'kube_node_status_condition{condition=~"MemoryPressure|DiskPressure|PIDPressure|NetworkUnavailable", '
        'status="true"} == 1'
    )
    return state_timeline_panel(
        PanelText(
            33,
            "Kubernetes node conditions",
            "Whether Kubernetes nodes are ready, and their other conditions (memory, disk, processes, network) while "
            "they report a problem; the ten worst in the last 15 minutes.",
            "Not ready: Kubernetes evicts its pods after 5 minutes. Find the reason with `kubectl describe node`.",
            NO_KUBERNETES,
            alerts=("TrustKubernetesNodeUnhealthy",),
        ),
        (Query("{{node}} {{condition}}", lowest(f"1 - max by (node, condition) ({readiness} or {problems})", 10)),),
        texts={"1": ("OK", "green"), "0": ("problem", "red")},
        width=12,
    )


def containers() -> table.Panel:
    """Restarts and memory usage of the containers in Kubernetes."""
    keys = {"pod": "Pod", "namespace": "Namespace", "container": "Container"}
    by = ", ".join(keys)
    return table_panel(
        PanelText(
            34,
            "Containers",
            "Restarts in the last 15 minutes, and memory usage as a share of the limit; the 20 containers with the "
            "highest values in the namespaces of the site. A dash is shown for a container that is not among them.",
            "Restarts: read the log of the previous container with `kubectl logs --previous`. Memory near 100 %, or "
            "OOMKilled: the memory limit is too low, or the process leaks memory.",
            NO_KUBERNETES,
            alerts=("TrustContainerRestartLoop", "TrustContainerMemoryHigh"),
        ),
        keys,
        (
            Column(
                "Restarts",
                f"topk(20, sum by ({by}) (increase(kube_pod_container_status_restarts_total[15m])){_OF_THE_SITE})",
                "none",
                levels=rising(yellow=1, red=RESTART_LIMIT),
            ),
            Column(
                "Memory",
                f"topk(20, max by ({by}) (container_memory_working_set_bytes)"
                f' / (max by ({by}) (kube_pod_container_resource_limits{{resource="memory"}}) > 0)'
                f"{_OF_THE_SITE})",
                "percentunit",
                levels=rising(red=CONTAINER_MEMORY_LIMIT),
            ),
        ),
        sort="Restarts",
        key_widths={"Pod": 270, "Namespace": 140, "Container": 100},
        width=12,
    )
