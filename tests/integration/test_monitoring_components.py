"""The other components of the monitoring: Alertmanagers, and exporters of real servers."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from os import environ
from pathlib import Path
from threading import Thread

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from testbed.drill.kubernetes import Kubernetes
from testbed.drill.postgresql import Cluster, Standby
from testbed.drill.redis import Redis
from tests.support.postgresql import needs_postgresql, replicated
from tests.support.running import counter_request, eventually, processes_of, send
from trust_ops.stack import BinaryUnavailable, Inputs, PrometheusClient, Stack, Target
from trust_ops.stack.binaries import find
from trust_ops.stack.components import COMPONENTS
from trust_ops.stack.files import prometheus_config, prometheus_files
from trust_ops.stack.recipes import binaries

# A closed port: notifications are visible in Alertmanager's metrics.
_ALERTMANAGER = """\
route: {receiver: nobody, group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers:
  - name: nobody
    webhook_configs: [{url: "http://127.0.0.1:1/"}]
"""
_ALWAYS = """\
groups:
  - name: test
    rules:
      - alert: AlwaysFiring
        expr: vector(1)
"""


@dataclass(frozen=True)
class Machines:
    primary: Cluster
    standby: Standby
    redis: Redis
    kubernetes: Kubernetes


def quick_prometheus(folder: Path) -> Path:
    """The project's configuration with an additional rule file, scraping and evaluating every second."""
    folder.mkdir()
    for file in prometheus_files():
        shutil.copy(file, folder)
    config = folder / "prometheus.yml"
    text = re.sub(r"(_interval|_timeout): \d+s", r"\1: 1s", prometheus_config().read_text())
    config.write_text(text.replace("rule_files:\n", "rule_files:\n  - always.yml\n"))
    (folder / "always.yml").write_text(_ALWAYS)
    return folder


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with ExitStack() as stack:
        primary, standby = stack.enter_context(replicated())
        # The role that docs and queries.yml document for the exporter.
        primary.execute("CREATE ROLE monitor LOGIN", "GRANT pg_monitor TO monitor")
        redis = stack.enter_context(Redis(tmp_path_factory.mktemp("redis")))
        yield Machines(primary, standby, redis, stack.enter_context(Kubernetes()))


@pytest.fixture(scope="module")
def stack(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("monitoring")
    alertmanager = folder / "alertmanager.yml"
    alertmanager.write_text(_ALERTMANAGER)
    inputs = Inputs(
        prometheus_config=quick_prometheus(folder / "prometheus"),
        alertmanager_config=alertmanager,
        postgresql=monitor_url(machines.primary),
        postgresql_standby=monitor_url(machines.standby),
        redis=machines.redis.url,
    )
    with Stack(folder / "run", components=tuple(COMPONENTS), inputs=inputs, on_progress=print) as running:
        try:
            running.up()
        except BinaryUnavailable as unavailable:
            # As for PostgreSQL, packages are only available on Debian.
            if "CI" in environ:
                raise
            pytest.skip(str(unavailable))
        running.scrape("kube-state-metrics", machines.kubernetes.state_metrics())
        running.scrape("kubelet", machines.kubernetes.kubelets())
        yield running
    assert processes_of(folder / "run") == []


def monitor_url(server: Cluster) -> str:
    return f"postgresql://monitor@127.0.0.1:{server.port}/postgres?sslmode=disable"


pytestmark = needs_postgresql


def test_every_component_is_healthy_and_every_job_is_scraped(stack: Stack, prometheus: PrometheusClient) -> None:
    assert [component.name for component in stack.status() if component.healthy] == list(COMPONENTS)

    def up() -> dict[str, float]:
        return {sample.labels["job"]: sample.value for sample in prometheus.query("sum by (job) (up)")}

    eventually(
        up,
        {
            "prometheus": 1,
            "otel-collector": 1,
            "alertmanager": 2,
            "node": 1,
            "postgres": 2,
            "redis": 1,
            "kube-state-metrics": 1,
            "kubelet": 2,
        },
    )


def test_prometheus_sends_to_both_alertmanagers_of_a_cluster(stack: Stack, prometheus: PrometheusClient) -> None:
    addresses = stack.addresses()
    assert addresses is not None
    urls = [addresses.optional[name] for name in ("alertmanager", "alertmanager-2")]
    found = httpx.get(f"{addresses.prometheus}/api/v1/alertmanagers", trust_env=False).json()["data"]
    assert {each["url"] for each in found["activeAlertmanagers"]} == {f"{url}/api/v2/alerts" for url in urls}
    eventually(lambda: prometheus.value("min(alertmanager_cluster_members)"), 2.0)

    def alerts(url: str) -> set[str]:
        return {alert["labels"]["alertname"] for alert in httpx.get(f"{url}/api/v2/alerts", trust_env=False).json()}

    def fires(url: str) -> bool:
        return "AlwaysFiring" in alerts(url)

    for url in urls:
        # Prometheus sends an alert again after a minute, if Alertmanager was not ready at first.
        eventually(partial(fires, url), True, seconds=90)
    # They send no notification during the start delay of one minute.
    failed = "sum(alertmanager_notification_requests_failed_total) > bool 0"
    eventually(lambda: prometheus.value(failed), 1.0, seconds=120)


_STAT = {"application_name", "client_addr", "state"}


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("node_memory_MemAvailable_bytes", set()),
        ("node_memory_MemTotal_bytes", set()),
        ("node_filesystem_avail_bytes", {"device", "fstype", "mountpoint"}),
        ("node_filesystem_size_bytes", {"device", "fstype", "mountpoint"}),
        ("node_filesystem_readonly", {"device", "fstype", "mountpoint"}),
        ("node_network_receive_errs_total", {"device"}),
        ("node_network_transmit_errs_total", {"device"}),
        ("node_network_receive_drop_total", {"device"}),
        ("node_network_transmit_drop_total", {"device"}),
        ("node_network_receive_packets_total", {"device"}),
        ("node_cpu_seconds_total", {"cpu", "mode"}),
        ("pg_up", set()),
        ("pg_replication_lag_seconds", {"server"}),
        ("pg_replication_is_replica", {"server"}),
        ("pg_stat_replication_pg_wal_lsn_diff", _STAT),
        ("pg_stat_activity_count", {"datname", "state"}),
        ("pg_stat_activity_max_tx_duration", {"datname", "state"}),
        ("pg_settings_max_connections", set()),
        ("redis_up", set()),
        ("redis_connected_clients", set()),
        ("alertmanager_notifications_total", {"integration"}),
        ("alertmanager_notifications_failed_total", {"integration", "reason"}),
        ("alertmanager_config_last_reload_successful", set()),
        ("prometheus_rule_evaluation_failures_total", {"rule_group"}),
        ("prometheus_notifications_errors_total", {"alertmanager"}),
        ("prometheus_notifications_dropped_total", {"alertmanager"}),
        ("otelcol_exporter_queue_size", {"exporter"}),
        ("otelcol_exporter_queue_capacity", {"exporter"}),
        ("kube_node_status_condition", {"node", "condition", "status"}),
        ("kube_pod_container_status_restarts_total", {"namespace", "pod", "container"}),
        ("kube_pod_container_resource_limits", {"namespace", "pod", "container", "resource", "unit"}),
        ("container_memory_working_set_bytes", {"node", "namespace", "pod", "container"}),
        ("container_network_receive_errors_total", {"node", "namespace", "pod", "interface"}),
    ],
)
def test_the_series_that_rules_read_exist_with_their_labels(
    prometheus: PrometheusClient, name: str, labels: set[str]
) -> None:
    eventually(lambda: len(prometheus.query(name)) > 0, True)
    for sample in prometheus.query(name):
        # An empty label does not exist; series of a node or pod have no container.
        assert set(sample.labels) | {"namespace", "pod", "container"} >= labels | {"job", "instance"}
    assert any(set(sample.labels) >= labels for sample in prometheus.query(name))


def test_a_standby_lags_while_replay_is_paused_but_not_without_writes(
    machines: Machines, prometheus: PrometheusClient
) -> None:
    def lag() -> float | None:
        return prometheus.value("max(pg_replication_lag_seconds)")

    machines.primary.execute("CREATE TABLE replicated (x int)")
    eventually(lag, 0.0)
    machines.standby.pause_replay()
    try:
        machines.primary.execute("INSERT INTO replicated VALUES (1)")
        eventually(lambda: (lag() or 0) > 2, True)
        assert prometheus.value("max(pg_stat_replication_pg_wal_lsn_diff) > bool 0") == 1
    finally:
        machines.standby.resume_replay()
    eventually(lag, 0.0)


def test_a_standby_without_its_primary_lags(machines: Machines, prometheus: PrometheusClient) -> None:
    eventually(lambda: prometheus.value("count(pg_up == 1)"), 2.0)
    machines.primary.stop()
    try:
        # Its exporter retries for seconds before it reports 0; if a scrape times out first, it counts as down.
        eventually(lambda: prometheus.value('count(pg_up == 0 or up{job="postgres"} == 0)'), 1.0)
        eventually(lambda: prometheus.value("count(pg_up == 1)"), 1.0)
        eventually(lambda: prometheus.value("max(pg_replication_lag_seconds) > bool 2"), 1.0)
    finally:
        machines.primary.start()
    eventually(lambda: prometheus.value("min(pg_up)"), 1.0)
    eventually(lambda: prometheus.value("max(pg_replication_lag_seconds)"), 0.0)


def test_a_stopped_redis_is_down(machines: Machines, prometheus: PrometheusClient) -> None:
    eventually(lambda: prometheus.value("redis_up"), 1.0)
    machines.redis.stop()
    try:
        eventually(lambda: prometheus.value("redis_up"), 0.0)
    finally:
        machines.redis.start()
    eventually(lambda: prometheus.value("redis_up"), 1.0)


def test_a_crash_loop_in_kubernetes_is_counted(machines: Machines, prometheus: PrometheusClient) -> None:
    pod = machines.kubernetes.cluster.pods[0]
    restarts = f'increase(kube_pod_container_status_restarts_total{{pod="{pod.name}"}}[30s])'
    eventually(lambda: prometheus.value(restarts), 0.0)
    pod.start_crash_loop(every=2)
    try:
        eventually(lambda: (prometheus.value(restarts) or 0) > 2, True)
    finally:
        pod.recover()


class _Endpoint(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b'served{job="trust/issuer",instance="one",service_name="issuer"} 1\n')

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_service_that_serves_its_metrics_keeps_its_labels(stack: Stack, prometheus: PrometheusClient) -> None:
    with HTTPServer(("127.0.0.1", 0), _Endpoint) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            stack.scrape("trust-service", [Target(f"127.0.0.1:{server.server_port}")])
            expected = {"__name__": "served", "job": "trust/issuer", "instance": "one", "service_name": "issuer"}
            eventually(lambda: [sample.labels for sample in prometheus.query("served")], [expected])
            assert prometheus.value('up{job="trust-service"}') == 1
        finally:
            stack.scrape("trust-service", [])
            server.shutdown()
            thread.join()
    eventually(lambda: prometheus.value('up{job="trust-service"}'), None)


def test_a_collector_that_cannot_deliver_fills_its_queue_then_refuses(tmp_path: Path) -> None:
    inputs = Inputs(collector_sends_to="http://127.0.0.1:1", collector_queue_size=20)
    with Stack(tmp_path, components=("collector",), inputs=inputs, on_progress=print) as alone:
        addresses = alone.up()

        def own(name: str) -> dict[str, float]:
            page = httpx.get(addresses.collector_self_metrics, trust_env=False).text
            return {
                sample.labels.get("exporter") or sample.labels["receiver"]: sample.value
                for family in text_string_to_metric_families(page)
                for sample in family.samples
                if sample.name == name
            }

        accepted = [send(addresses, counter_request("queued", {"number": str(number)})) for number in range(30)]
        assert accepted == [True] * 20 + [False] * 10
        assert own("otelcol_exporter_queue_capacity") == {"otlp_http/prometheus": 20}
        assert own("otelcol_exporter_queue_size") == {"otlp_http/prometheus": 20}
        assert own("otelcol_exporter_enqueue_failed_metric_points_total") == {"otlp_http/prometheus": 10}
        assert own("otelcol_receiver_accepted_metric_points_total") == {"otlp": 20}
        assert own("otelcol_receiver_refused_metric_points_total") == {"otlp": 10}
        assert own("otelcol_exporter_send_failed_metric_points_total") == {}


def test_promtool_of_the_oldest_prometheus_is_that_version() -> None:
    try:
        oldest = find(binaries()["promtool_2_42"], environ, print)
    except BinaryUnavailable as unavailable:
        if "CI" in environ:
            raise
        pytest.skip(str(unavailable))
    said = subprocess.run([str(oldest), "--version"], capture_output=True, text=True, check=True, timeout=30)
    assert "version 2.42.0" in said.stdout + said.stderr
