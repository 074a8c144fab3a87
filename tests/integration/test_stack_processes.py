"""The real Collector and Prometheus as processes: health, exact values, and no data loss."""

import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from os import environ
from pathlib import Path

import httpx
import psutil
import pytest
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client.parser import text_string_to_metric_families

from tests.support.running import counter_request, eventually, processes_of, sdk, send
from trust_ops.stack import Addresses, PrometheusClient, Stack
from trust_ops.stack.binaries import find
from trust_ops.stack.files import prometheus_config
from trust_ops.stack.recipes import binaries

RESOURCE = {
    "service.name": "issuer",
    "service.namespace": "trust",
    "service.version": "1.2.3",
    "service.instance.id": "instance-1",
    "deployment.environment.name": "test",
    "k8s.cluster.name": "c",
    "k8s.namespace.name": "n",
    "k8s.deployment.name": "d",
    "k8s.pod.name": "p",
    "k8s.container.name": "x",
    "k8s.node.name": "y",
    "not.promoted": "z",
}


def test_no_website_may_read_metrics_through_a_browser(addresses: Addresses) -> None:
    """Prometheus allows all origins by default."""
    for origin in ("http://evil.example", "null", f"{addresses.prometheus}.evil.example"):
        answer = httpx.get(f"{addresses.prometheus}/api/v1/query?query=up", headers={"Origin": origin})
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers


def test_the_files_of_the_components_are_private(stack: Stack) -> None:
    assert stack.directory.stat().st_mode & 0o077 == 0
    kept = list((stack.directory / "prometheus" / "data").rglob("*"))
    assert kept
    assert [each for each in kept if each.exists() and each.stat().st_mode & 0o077] == []


def test_the_logs_of_a_start_have_no_warning(stack: Stack) -> None:
    collector = stack.logs("collector", lines=1000)
    assert "Everything is ready." in collector
    assert [line for line in collector.splitlines() if "\tinfo\t" not in line or "deprecat" in line.lower()] == []
    prometheus = stack.logs("prometheus", lines=1000)
    assert "Server is ready to receive web requests." in prometheus
    assert [line for line in prometheus.splitlines() if " level=INFO " not in line] == []


def test_everything_is_healthy_and_up_again_changes_nothing(stack: Stack, addresses: Addresses) -> None:
    before = stack.status()
    assert [(component.running, component.healthy) for component in before] == [(True, True), (True, True)]
    assert stack.up() == addresses
    assert stack.status() == before


def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    promtool = find(binaries()["promtool"], environ, print)
    checked = subprocess.run(
        [str(promtool), "check", "config", "--lint=all", "--lint-fatal", str(prometheus_config())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert "SUCCESS" in checked.stdout


def test_prometheus_scrapes_itself_and_the_collector(prometheus: PrometheusClient) -> None:
    def targets() -> dict[str, float]:
        return {sample.labels["job"]: sample.value for sample in prometheus.query("up")}

    eventually(targets, {"otel-collector": 1, "prometheus": 1})


@pytest.mark.parametrize("grpc", [False, True], ids=["http", "grpc"])
def test_metrics_of_the_sdk_arrive_exactly(addresses: Addresses, prometheus: PrometheusClient, grpc: bool) -> None:
    with sdk(addresses, RESOURCE, grpc=grpc) as provider:
        signed = provider.get_meter("test").create_counter("exact.signed", unit="{signature}")
        for _ in range(1234):
            signed.add(1, {"by": str(grpc)})
    eventually(lambda: prometheus.value(f'exact_signed_total{{by="{grpc}"}}'), 1234.0)


def test_the_first_event_ever_is_seen_by_increase(addresses: Addresses, prometheus: PrometheusClient) -> None:
    with sdk(addresses, RESOURCE) as provider:
        # The series starts at 1: without the zero that Prometheus inserts before, its increase would be 0.
        meter = provider.get_meter("test")
        meter.create_counter("first.incidents").add(1, {"type": "key_compromise"})
        meter.create_histogram("first.duration").record(0.5)
        time.sleep(0.1)
        assert provider.force_flush()
        eventually(lambda: prometheus.value("first_incidents_total"), 1.0)
    for series in ("first_incidents_total", "first_duration_count", 'first_duration_bucket{le="+Inf"}'):
        increase = prometheus.value(f"increase({series}[5m])")
        assert increase is not None, series
        assert increase >= 0.99, series


def test_the_collectors_own_metrics_have_the_names_in_rules(addresses: Addresses, prometheus: PrometheusClient) -> None:
    assert send(addresses, counter_request("self.named", {}))
    eventually(lambda: prometheus.value("self_named_total"), 1.0)
    page = httpx.get(addresses.collector_self_metrics, trust_env=False).text
    names = {sample.name for family in text_string_to_metric_families(page) for sample in family.samples}
    assert names >= {
        "otelcol_exporter_queue_capacity",
        "otelcol_exporter_queue_size",
        "otelcol_exporter_sent_metric_points_total",
        "otelcol_process_memory_rss_bytes",
        "otelcol_process_uptime_seconds_total",
        "otelcol_receiver_accepted_metric_points_total",
    }


def test_a_rejected_request_affects_no_other_and_is_counted(addresses: Addresses, prometheus: PrometheusClient) -> None:
    eventually(lambda: prometheus.value("up{job='prometheus'}"), 1.0)
    for sender in range(5):
        assert send(addresses, counter_request("clock.wrong", {}, timestamp=time.time() - 86400))
        assert send(addresses, counter_request("clock.right", {"sender": str(sender)}))
    eventually(lambda: prometheus.value("count(clock_right_total)"), 5.0)
    assert prometheus.series("clock_wrong_total") == []
    page = httpx.get(addresses.collector_self_metrics, trust_env=False).text
    failed = [
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "otelcol_exporter_send_failed_metric_points_total"
    ]
    assert failed == [5.0]


Series = dict[frozenset[tuple[str, str]], float]


def test_both_paths_give_the_same_series(addresses: Addresses, prometheus: PrometheusClient) -> None:
    with sdk(addresses, RESOURCE) as provider:
        record_every_kind(provider)
        assert provider.force_flush()
        selector = '{job="trust/issuer",__name__=~"paths_.+"}'
        eventually(lambda: len(prometheus.query(selector)) > 0, True)
        ingested = {frozenset(sample.labels.items()): sample.value for sample in prometheus.query(selector)}
        exposed = exporter_series(addresses)
    assert exposed == ingested
    names = {dict(labels)["__name__"] for labels in ingested}
    assert names == {
        "paths_signed_total",
        "paths_fee_amount_USD_total",
        "paths_not_after_seconds",
        "paths_utilization_ratio",
        "paths_active",
        "paths_size_bytes",
        "paths_duration_seconds_bucket",
        "paths_duration_seconds_count",
        "paths_duration_seconds_sum",
    }
    boundaries = {dict(labels)["le"] for labels in ingested if "le" in dict(labels)}
    assert boundaries == {"0.005", "0.25", "1", "7.5", "10", "+Inf"}
    for labels in ingested:
        assert dict(labels).items() >= {"service_name": "issuer", "k8s_pod_name": "p", "instance": "instance-1"}.items()
        assert "not_promoted" not in dict(labels)


def record_every_kind(provider: MeterProvider) -> None:
    def size(options: CallbackOptions) -> Iterator[Observation]:
        yield Observation(4096, {"store": "keys"})

    meter = provider.get_meter("a scope with a name", "1.0")
    meter.create_counter("paths.signed", unit="{signature}").add(3, {"trust.kind": "a"})
    meter.create_counter("paths.fee.amount", unit="USD").add(12.75, {"http.request.method": "GET"})
    meter.create_gauge("paths.not_after", unit="s").set(1.9e9, {"name": 'quote " backslash \\ newline \n'})
    meter.create_gauge("paths.utilization", unit="1").set(0.25)
    meter.create_up_down_counter("paths.active", unit="{request}").add(-2)
    meter.create_observable_gauge("paths.size", [size], unit="By")
    duration = meter.create_histogram(
        "paths.duration", unit="s", explicit_bucket_boundaries_advisory=[0.005, 0.25, 1, 7.5, 10]
    )
    for seconds in (0.001, 0.25, 1.0, 3, 99):
        duration.record(seconds, {"http.route": "/certificates/{id}"})


def exporter_series(addresses: Addresses) -> Series:
    page = httpx.get(addresses.collector_prometheus_exporter, trust_env=False).text
    return {
        frozenset({**sample.labels, "__name__": sample.name}.items()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name.startswith("paths_")
    }


def test_killing_the_collector_loses_no_accepted_data(
    stack: Stack, addresses: Addresses, prometheus: PrometheusClient
) -> None:
    stack.stop("prometheus")
    for number in range(50):
        assert send(addresses, counter_request("kept.on.disk", {"number": str(number)}))
    stack.kill("collector", signal.SIGKILL)
    stack.start("collector")
    stack.kill("collector", signal.SIGKILL)
    stack.start("prometheus")
    stack.start("collector")
    eventually(lambda: prometheus.value("count(kept_on_disk_total)"), 50.0)


@contextmanager
def sending(addresses: Addresses, name: str) -> Iterator[list[int]]:
    """Continuously send numbered requests, each until it is accepted; yields the accepted numbers."""
    accepted: list[int] = []
    end = threading.Event()

    def run() -> None:
        for number in itertools.count():
            if end.is_set():
                return
            while not send(addresses, counter_request(name, {"number": str(number)})):
                time.sleep(0.01)
            accepted.append(number)
            time.sleep(0.005)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield accepted
    finally:
        end.set()
        thread.join()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "terminate"])
@pytest.mark.parametrize("name", ["collector", "prometheus"])
def test_nothing_is_lost_while_a_component_is_down(
    stack: Stack, addresses: Addresses, prometheus: PrometheusClient, name: str, ending: int
) -> None:
    metric = f"away_{name}_{ending}"
    with sending(addresses, metric) as accepted:
        eventually(lambda: len(accepted) > 50, True)
        stack.kill(name, ending)
        time.sleep(2)
        stack.start(name)
        enough = len(accepted) + 50
        eventually(lambda: len(accepted) > enough, True)
    eventually(lambda: prometheus.value(f"count({metric}_total)"), float(len(accepted)))


@contextmanager
def foreground(directory: Path) -> Iterator["subprocess.Popen[str]"]:
    """`trust-otel stack up` in the foreground, once the stack is up."""
    command = subprocess.Popen(
        [sys.executable, "-m", "trust_ops.stack", "up", "--directory", str(directory)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert command.stderr is not None
        said = list(itertools.takewhile(lambda line: line != "press Ctrl-C to stop\n", command.stderr))
        assert command.poll() is None, said
        yield command
    finally:
        command.kill()
        command.communicate()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_the_command_leaves_no_process_however_it_ends(tmp_path: Path, ending: int) -> None:
    with foreground(tmp_path) as command:
        # The command, Collector, Prometheus, supervisor.
        family = [psutil.Process(command.pid), *psutil.Process(command.pid).children()]
        assert len(family) == 4
        command.send_signal(ending)
        assert command.wait(30) == (-signal.SIGKILL if ending == signal.SIGKILL else 0)
    eventually(lambda: [process for process in family if process.is_running()], [])
    assert processes_of(tmp_path) == []


def test_a_component_that_dies_ends_the_command_with_its_log(tmp_path: Path) -> None:
    with foreground(tmp_path) as command:
        Stack(tmp_path).kill("collector")
        assert command.wait(30) == 1
        assert command.stderr is not None
        assert "Error: collector has exited. Its log," in command.stderr.read()
    eventually(lambda: processes_of(tmp_path), [])


def test_down_from_elsewhere_ends_the_command(tmp_path: Path) -> None:
    with foreground(tmp_path) as command:
        Stack(tmp_path).down()
        assert command.wait(30) == 0
    assert processes_of(tmp_path) == []
