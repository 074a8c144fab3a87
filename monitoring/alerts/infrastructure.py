"""Kubernetes nodes, containers and networks."""

from __future__ import annotations

from monitoring.alerts.declaration import Alert, Group, Panel, number, ratio

KUBERNETES_NODE_UNHEALTHY = Alert(
    name="TrustKubernetesNodeUnhealthy",
    reason="""
        kube-state-metrics exports one series for each status of a condition. 2 minutes skip a restart of the
        kubelet.
    """,
    expression="""
        max by (node, condition) (
          kube_node_status_condition{condition=~"MemoryPressure|DiskPressure|PIDPressure", status="true"} == 1
          or
          kube_node_status_condition{condition="Ready", status=~"false|unknown"} == 1
        )
    """,
    wait="2m",
    keep_firing="2m",
    severity="critical",
    team="platform",
    category="infrastructure",
    service="kubernetes",
    panel=Panel("operational", 33),
    summary="Kubernetes node {{ $labels.node }} is unhealthy.",
    description="""
        Node {{ $labels.node }}: {{ if eq $labels.condition "Ready" }}not ready{{ else }}{{ $labels.condition }}{{ end }}.
    """,
)

CONTAINER_RESTART_LOOP = Alert(
    name="TrustContainerRestartLoop",
    reason="""
        The back-off between restarts grows to 5 minutes, so a crash loop restarts two or three times in 15 minutes;
        `keep_firing_for` covers the windows with two. The join adds the node, because the alert of the node
        inhibits this one. Only in the namespaces of the site.
    """,
    expression="""
        sum by (namespace, pod, container) (
          increase(kube_pod_container_status_restarts_total[15m])
        )
        * on (namespace, pod) group_left (node)
        max by (namespace, pod, node) (kube_pod_info)
        >= $threshold
        unless on (namespace)
        namespace:kube_pods_unmonitored:count
    """,
    threshold=number(3),
    keep_firing="10m",
    severity="warning",
    team="platform",
    category="infrastructure",
    service="kubernetes",
    panel=Panel("operational", 34),
    summary="Container {{ $labels.container }} restarts repeatedly.",
    description="""
        Container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} has restarted {{ $value | printf "%.0f" }} times within 15 minutes (threshold $threshold).
    """,
)

NETWORK_PROBLEMS = Alert(
    name="TrustNetworkProblems",
    reason="""
        Nodes, pods in the namespaces of the site, and hosts. One bad packet in a hundred halves the throughput of TCP; fewer than one per 10 s is
        chance. Series without a pod belong to the node, which node_exporter reports; the matcher on one side is
        enough, because the other side then has no match.
    """,
    expression="""
        max by (node) (
          kube_node_status_condition{condition="NetworkUnavailable", status="true"}
        ) == 1
        or
        (
          sum by (namespace, pod) (
            rate(container_network_receive_errors_total{pod!=""}[5m]) + rate(container_network_transmit_errors_total[5m])
          ) > 0.1
        )
        /
        sum by (namespace, pod) (
          rate(container_network_receive_packets_total[5m]) + rate(container_network_transmit_packets_total[5m])
        )
        > $threshold
        unless on (namespace)
        namespace:kube_pods_unmonitored:count
        or
        (
          sum by (instance, device) (
            rate(node_network_receive_errs_total[5m]) + rate(node_network_transmit_errs_total[5m])
          ) > 0.1
        )
        /
        sum by (instance, device) (
          rate(node_network_receive_packets_total[5m]) + rate(node_network_transmit_packets_total[5m])
        )
        > $threshold
    """,
    threshold=ratio(0.01),
    wait="2m",
    keep_firing="5m",
    severity="warning",
    team="platform",
    category="infrastructure",
    service="host",
    panel=Panel("operational", 42),
    summary="Network problems.",
    description="""
        {{ if $labels.node }}The network of node {{ $labels.node }} is unavailable.{{ else }}{{ $value | humanizePercentage }} of the packets of
        {{ if $labels.pod }}pod {{ $labels.namespace }}/{{ $labels.pod }}{{ else }}{{ $labels.device }} on {{ $labels.instance }}{{ end }} have errors (threshold $threshold).{{ end }}
    """,
)

GROUP = Group(
    "trust-service.infrastructure",
    (
        KUBERNETES_NODE_UNHEALTHY,
        CONTAINER_RESTART_LOOP,
        NETWORK_PROBLEMS,
    ),
)
