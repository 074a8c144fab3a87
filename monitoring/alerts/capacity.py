"""Hosts and containers that run out of memory or disk space."""

from __future__ import annotations

from monitoring.alerts.declaration import Alert, Group, Panel, ratio

HOST_MEMORY_HIGH = Alert(
    name="TrustHostMemoryHigh",
    reason="""
        Available memory instead of free memory, because the page cache can be reclaimed. 2 minutes skip short
        peaks.
    """,
    expression="""
        1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes > $threshold
    """,
    threshold=ratio(0.85),
    wait="2m",
    keep_firing="2m",
    severity="critical",
    team="platform",
    category="capacity",
    service="host",
    panel=Panel("operational", 7),
    summary="Host {{ $labels.instance }} is low on memory.",
    description="""
        {{ $value | humanizePercentage }} of the memory of {{ $labels.instance }} is in use (threshold $threshold).
    """,
)

CONTAINER_MEMORY_HIGH = Alert(
    name="TrustContainerMemoryHigh",
    reason="""
        The working set is the memory that the kernel cannot reclaim. 2 minutes skip short peaks. Only in the
        namespaces of the site: other teams have alerts of their own.
    """,
    expression="""
        max by (namespace, pod, container) (container_memory_working_set_bytes)
        /
        max by (namespace, pod, container) (kube_pod_container_resource_limits{resource="memory"})
        > $threshold
        unless on (namespace)
        namespace:kube_pods_unmonitored:count
    """,
    threshold=ratio(0.85),
    wait="2m",
    keep_firing="2m",
    severity="critical",
    team="platform",
    category="capacity",
    service="kubernetes",
    panel=Panel("operational", 34),
    summary="Container {{ $labels.container }} is close to its memory limit.",
    description="""
        Container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} uses {{ $value | humanizePercentage }}
        of its memory limit (threshold $threshold); at 100 % it is killed.
    """,
)

HOST_DISK_SPACE_LOW = Alert(
    name="TrustHostDiskSpaceLow",
    reason="""
        Space that services can use, without the blocks reserved for root. Image file systems are always full, and
        an overlay reports the disk of its host again; both are excluded.
    """,
    expression="""
        node_filesystem_avail_bytes{fstype!~"ramfs|squashfs|iso9660|overlay"}
        /
        node_filesystem_size_bytes
        < $threshold
        and
        node_filesystem_readonly == 0
    """,
    threshold=ratio(0.1),
    wait="1m",
    keep_firing="2m",
    severity="critical",
    team="platform",
    category="capacity",
    service="host",
    panel=Panel("operational", 41),
    summary="Disk {{ $labels.mountpoint }} of {{ $labels.instance }} is nearly full.",
    description="""
        {{ $value | humanizePercentage }} of {{ $labels.mountpoint }} ({{ $labels.fstype }}) on {{ $labels.instance }} is free (threshold $threshold).
    """,
)

GROUP = Group(
    "trust-service.capacity",
    (
        HOST_MEMORY_HIGH,
        CONTAINER_MEMORY_HIGH,
        HOST_DISK_SPACE_LOW,
    ),
)
