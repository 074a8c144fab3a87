"""Hosts and containers that run out of memory or disk space."""

from __future__ import annotations

from monitoring.alerts.declaration import Alert, Group, Panel, ratio

HOST_MEMORY_HIGH = Alert(
    name="TrustHostMemoryHigh",
    reason="""
        A5. Available memory, not free memory: the page cache gives way. 2 minutes let a short peak pass.
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
    summary="Host {{ $labels.instance }} runs out of memory.",
    description="""
        {{ $value | humanizePercentage }} of the memory of {{ $labels.instance }} is in use (threshold $threshold).
    """,
)

CONTAINER_MEMORY_HIGH = Alert(
    name="TrustContainerMemoryHigh",
    reason="""
        A5 where the limit is the container's. The working set is what the kernel cannot take back.
    """,
    expression="""
        max by (namespace, pod, container) (container_memory_working_set_bytes)
        /
        max by (namespace, pod, container) (kube_pod_container_resource_limits{resource="memory"})
        > $threshold
    """,
    threshold=ratio(0.85),
    wait="2m",
    keep_firing="2m",
    severity="critical",
    team="platform",
    category="capacity",
    service="kubernetes",
    panel=Panel("operational", 7),
    summary="Container {{ $labels.container }} is close to its memory limit.",
    description="""
        Container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} uses {{ $value | humanizePercentage }}
        of its memory limit (threshold $threshold); at 100 % it is killed.
    """,
)

HOST_DISK_SPACE_LOW = Alert(
    name="TrustHostDiskSpaceLow",
    reason="""
        A6. What services may use, without the share that is reserved for root. Not for images, which are full by nature, nor
        for overlays, which are their host's disk once more.
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
    panel=Panel("operational", 7),
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
