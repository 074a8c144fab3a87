"""The series of hosts, Kubernetes, databases and the monitoring components."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from testbed.fleet.course import Course, Labels, counter
from testbed.fleet.services import NODES, Instance, instances
from trust_otel.semconv.scraped import ScrapedMetric, read_scraped

BAD_NODE: Final = "node-07"
_GIBIBYTE: Final = 2**30
_OF_NODES: Final = ("node", "kube-state-metrics", "kubelet")
_EXPLICIT: Final = (
    *("node_cpu_seconds_total", "node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes"),
    *("node_filesystem_size_bytes", "node_filesystem_avail_bytes", "kube_node_status_condition"),
    *("node_filesystem_readonly", "kube_pod_container_status_restarts_total"),
    *("kube_pod_container_resource_limits", "container_memory_working_set_bytes"),
)
_TARGETS: Final = {
    "prometheus": "prometheus:9090",
    "alertmanager": "alertmanager:9093",
    "otel-collector": "collector:8888",
    "grafana": "grafana:3000",
    "postgres": "postgres-1:9187",
    "redis": "redis-1:9121",
}
# Labels without known values.
_VALUES: Final = {
    "exporter": "otlp_http/prometheus",
    "rule_group": "/etc/prometheus/rules.yml;trust-service.recording.http",
    "handler": "/api/dashboards/uid/:uid",
    "integration": "webhook",
    "status_code": "200",
}
# The components of the monitoring work.
_FAILURES: Final = re.compile("fail|drop|refus|reject|corrupt|evict|missed|out_of_order|duplicate")
_GAUGES: Final = {
    "pg_settings_max_connections": 200.0,
    "prometheus_rule_group_interval_seconds": 10.0,
    "otelcol_exporter_queue_capacity": 1000.0,
    "otelcol_queue_damaged_files": 0.0,
    "scrape_duration_seconds": 0.02,
}


def infrastructure(begin: int) -> Iterator[Course]:
    """All series from `begin` (Unix time) on."""
    for node in (f"node-{number + 1:02}" for number in range(NODES)):
        yield from _host(node)
    for instance in instances():
        yield from _container(instance)
    for metric in read_scraped().values():
        if metric.job in _OF_NODES:
            yield from _of_nodes(metric)
        else:
            yield from _of_components(metric, begin)
    yield Course("ALERTS", {"alertname": "TrustWatchdog", "alertstate": "firing", "severity": "none"}, 1)
    for alert in _ALERTS:
        yield Course("ALERTS", _alert(*alert), 1)


_ALERTS: Final = (
    ("production", "TrustServiceHighLatency", "warning", "security", "document-service"),
    ("production", "TrustDatabaseConnectionsFailed", "critical", "platform", "document-service"),
    ("production", "TrustDatabaseConnectionProblems", "warning", "platform", "document-service"),
    ("production", "TrustServiceInstanceDown", "warning", "platform", "validation-service"),
    ("staging", "TrustServiceHighLatency", "info", "security", "document-service"),
)
"""Environment, name, severity, team and service of each firing alert."""


def _alert(environment: str, name: str, severity: str, team: str, service: str) -> Labels:
    return {
        "alertname": name,
        "alertstate": "firing",
        "severity": severity,
        "team": team,
        "service": service,
        "service_name": service,
        "deployment_environment_name": environment,
    }


def _host(node: str) -> Iterator[Course]:
    bad = node == BAD_NODE
    labels = {"job": "node", "instance": f"{node}:9100"}
    busy = 0.95 if bad else 0.4
    for cpu in ("0", "1"):
        for mode, share in (("idle", 1 - busy), ("user", busy)):
            yield counter("node_cpu_seconds_total", {**labels, "cpu": cpu, "mode": mode}, share)
    yield Course("node_memory_MemTotal_bytes", labels, 32 * _GIBIBYTE)
    yield Course("node_memory_MemAvailable_bytes", labels, (1 if bad else 16) * _GIBIBYTE)
    disk = {**labels, "device": "/dev/sda1", "fstype": "ext4", "mountpoint": "/"}
    yield Course("node_filesystem_size_bytes", disk, 100 * _GIBIBYTE)
    yield Course("node_filesystem_avail_bytes", disk, (3 if bad else 60) * _GIBIBYTE)
    yield Course("node_filesystem_readonly", disk, 0)
    network = {"job": "kube-state-metrics", "node": node, "condition": "NetworkUnavailable", "status": "true"}
    yield Course("kube_node_status_condition", network, 0)
    ready = {"job": "kube-state-metrics", "node": node, "condition": "Ready"}
    for status, value in (("true", not bad), ("false", bad), ("unknown", False)):
        yield Course("kube_node_status_condition", {**ready, "status": status}, float(value))


def _container(instance: Instance) -> Iterator[Course]:
    labels = {
        "job": "kube-state-metrics",
        "namespace": f"trust-{instance.environment}",
        "pod": instance.pod,
        "uid": instance.id,
        "container": "service",
    }
    yield counter("kube_pod_container_status_restarts_total", labels, 1 / 300 if instance.is_bad else 0)
    limit = {**labels, "node": "any", "resource": "memory", "unit": "byte"}
    yield Course("kube_pod_container_resource_limits", limit, _GIBIBYTE)
    container = {name: labels[name] for name in ("namespace", "pod", "container")}
    used = (0.95 if instance.is_bad else 0.2) * _GIBIBYTE
    yield Course("container_memory_working_set_bytes", {**container, "job": "kubelet"}, used)


def _of_components(metric: ScrapedMetric, begin: int) -> Iterator[Course]:
    jobs = _TARGETS if metric.job is None else {metric.job: _TARGETS[metric.job]} if metric.job in _TARGETS else {}
    for job, instance in jobs.items():
        labels = {"job": job, "instance": instance}
        labels |= {
            label.name: label.values[0] if label.values else _VALUES.get(label.name, "any")
            for label in metric.labels
            if not label.optional
        }
        for values in _variants(metric):
            if metric.kind == "counter":
                yield counter(metric.name, {**labels, **values}, 0 if _FAILURES.search(metric.name) else 0.5)
            else:
                yield Course(metric.name, {**labels, **values}, _level(metric, begin))


def _of_nodes(metric: ScrapedMetric) -> Iterator[Course]:
    """The series of a metric of nodes or containers, one on each node."""
    if metric.name in _EXPLICIT:
        return
    seen = []
    for number, instance in enumerate(islice(instances(), NODES)):
        node = f"node-{number + 1:02}"
        target = f"{node}:9100" if metric.job == "node" else f"{metric.job}:8080"
        known = {
            "node": node,
            "namespace": f"trust-{instance.environment}",
            "pod": instance.pod,
            "uid": instance.id,
            "container": "service",
        }
        labels = {"job": str(metric.job), "instance": target} | {
            label.name: known.get(label.name, label.values[0] if label.values else "any")
            for label in metric.labels
            if not label.optional
        }
        # Those of a namespace or deployment have neither node nor pod.
        if labels not in seen:
            seen.append(labels)
            rate = 0 if "err" in metric.name and node != BAD_NODE else 0.5
            yield counter(metric.name, labels, rate) if metric.kind == "counter" else Course(metric.name, labels, 1)


def _variants(metric: ScrapedMetric) -> Iterator[Labels]:
    """The labels with known values that panels select."""
    if metric.name == "prometheus_engine_query_duration_seconds":
        yield from ({"quantile": quantile, "slice": "inner_eval"} for quantile in ("0.5", "0.9", "0.99"))
    else:
        yield {}


def _level(metric: ScrapedMetric, begin: int) -> float:
    if metric.name.endswith("timestamp_seconds"):
        return begin - 86_400.0
    return _GAUGES.get(metric.name, 1.0 if metric.maximum == 1 else 5.0)
