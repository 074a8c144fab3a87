"""The first event alerts on every path to Prometheus, with and without the start times of series."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
import yaml
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource

from tests.support.running import eventually
from trust_ops.stack import Inputs, PrometheusClient, Stack, Target
from trust_ops.stack.binaries import find
from trust_ops.stack.files import prometheus_config, prometheus_files
from trust_ops.stack.ports import LOOPBACK, free_ports
from trust_ops.stack.recipes import binaries
from trust_ops.stack.targets import write
from trust_otel import TrustServiceMetrics
from trust_otel.export.periodic import PeriodicReader
from trust_otel.export.prometheus.reader import PrometheusReader
from trust_otel.recording import self_metrics

ALERTS = {"TrustSigningFailures", "TrustSuspiciousActivity", "TrustComplianceFailure", "TrustAuthFailuresFromAddress"}
TEXT_JOB = {
    "job_name": "trust-service-text",
    "honor_labels": True,
    "scrape_protocols": ["PrometheusText0.0.4"],
    "file_sd_configs": [{"files": ["targets/text*.json"]}],
}


@dataclass(frozen=True)
class Servers:
    """Prometheus behind a Collector with the start times of series, and one without them."""

    stack: Stack
    with_start_times: str
    without_start_times: str
    folder_without: Path


def quick_configuration(folder: Path) -> Path:
    """The project's configuration with a job for the text format, scraping and evaluating every second."""
    folder.mkdir()
    for file in prometheus_files():
        shutil.copy(file, folder)
    configuration = yaml.safe_load(prometheus_config().read_text())
    configuration["global"] = dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), "1s")
    configuration["scrape_configs"].append(TEXT_JOB)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    return folder


@contextmanager
def prometheus_without_start_times(folder: Path) -> Iterator[str]:
    (port,) = free_ports(1)
    executable = find(binaries()["prometheus"], os.environ, print)
    command = [
        *(str(executable), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"),
        *(f"--web.listen-address={LOOPBACK}:{port}", "--web.enable-otlp-receiver", "--log.level=error"),
    ]
    url = f"http://{LOOPBACK}:{port}"
    with subprocess.Popen(command) as process:
        try:
            eventually(partial(_is_ready, url), True)
            yield url
        finally:
            process.terminate()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", trust_env=False).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("first-events")
    configuration = quick_configuration(folder / "configuration")
    without = folder / "without"
    shutil.copytree(configuration, without / "prometheus")
    (without / "prometheus" / "targets").mkdir()
    with ExitStack() as running:
        stack = running.enter_context(
            Stack(folder / "run", inputs=Inputs(prometheus_config=configuration), on_progress=print)
        )
        stack.up()
        addresses = stack.addresses()
        assert addresses is not None
        url = running.enter_context(prometheus_without_start_times(without / "prometheus"))
        yield Servers(stack, addresses.prometheus, url, without)


@dataclass
class Service:
    """A service that exports on one path, and the Prometheus that has its series."""

    name: str
    prometheus: PrometheusClient
    provider: MeterProvider
    metrics: TrustServiceMetrics
    port: int | None

    def export(self) -> None:
        """Let Prometheus have the current values; a scrape comes by itself."""
        time.sleep(1.1)
        self.provider.force_flush()

    def seen(self) -> float | None:
        return self.prometheus.value(
            f'count_over_time(trust_otel_instance_up{{service_name="{self.name}"}}[1m]) >= bool 2'
        )

    def firing(self) -> set[str]:
        found = self.prometheus.query(f'ALERTS{{service_name="{self.name}", alertstate="firing"}}')
        return {sample.labels["alertname"] for sample in found}

    def await_alerts(self, expected: set[str]) -> None:
        deadline = time.monotonic() + 15
        while self.firing() != expected and time.monotonic() < deadline:
            self.export()
        assert self.firing() == expected


def record_first_events(metrics: TrustServiceMetrics) -> None:
    metrics.record_security_incident("forged_certificate", severity="critical")
    metrics.record_compliance_check(framework="icao_9303", control="algorithm", passed=False)
    with suppress(RuntimeError), metrics.certificate_operation("signing"):
        raise RuntimeError("no session")
    for _ in range(20):
        metrics.record_auth_attempt(method="password", success=False, client_address="203.0.113.7")


PATHS = (
    "OTLP",
    "OTLP, without start times",
    "OTLP through the Collector",
    "OpenMetrics",
    "OpenMetrics, without start times",
    "text format, without start times",
)


@contextmanager
def service(servers: Servers, path: str, case: str) -> Iterator[Service]:
    """A service on a path; it is scraped or exports from the start of the block on."""
    name = f"{case} {path}".lower().replace(", ", "-").replace(" ", "-")
    without = path.endswith("without start times")
    url = servers.without_start_times if without else servers.with_start_times
    addresses = servers.stack.addresses()
    assert addresses is not None
    reader: PeriodicReader | PrometheusReader
    if path.startswith("OTLP"):
        endpoint = addresses.otlp_http if path.endswith("Collector") else f"{url}/api/v1/otlp"
        reader = PeriodicReader(OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics"), export_interval_millis=math.inf)
    else:
        reader = PrometheusReader(LOOPBACK, 0)
    provider = MeterProvider([reader], Resource({"service.name": name}), shutdown_on_exit=False)
    metrics = TrustServiceMetrics(provider)
    with PrometheusClient(url) as client:
        try:
            yield Service(name, client, provider, metrics, getattr(reader, "port", None))
        finally:
            provider.shutdown()


def scrape(servers: Servers, path: str, running: Service) -> None:
    """Begin to scrape the service, if it does not push."""
    if running.port is not None:
        job = "text" if path.startswith("text") else "trust-service"
        folder = servers.folder_without if path.endswith("without start times") else servers.stack.directory
        write(folder, f"{job}-{running.name}", [Target(f"{LOOPBACK}:{running.port}")])


@pytest.mark.parametrize("path", PATHS)
def test_the_first_event_of_an_idle_service_alerts(servers: Servers, path: str) -> None:
    with service(servers, path, "idle") as running:
        scrape(servers, path, running)
        for _ in range(3):
            running.export()
        eventually(running.seen, 1)
        record_first_events(running.metrics)
        running.export()
        running.await_alerts(ALERTS)


@pytest.mark.parametrize("path", PATHS)
def test_events_before_the_first_export_of_a_new_process_alert(servers: Servers, path: str) -> None:
    with service(servers, path, "new") as running:
        record_first_events(running.metrics)
        scrape(servers, path, running)
        running.export()
        running.await_alerts(ALERTS)


@pytest.mark.parametrize("path", [path for path in PATHS if path.endswith("without start times")])
def test_an_old_process_that_prometheus_sees_for_the_first_time_does_not_alert(
    servers: Servers, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_metrics, "monotonic", lambda: time.monotonic() - 3600)
    with service(servers, path, "old") as running:
        monkeypatch.undo()
        record_first_events(running.metrics)
        scrape(servers, path, running)
        for _ in range(3):
            running.export()
        eventually(running.seen, 1)
        running.export()
        assert running.firing() == set()
        running.metrics.record_security_incident("forged_certificate", severity="warning")
        running.export()
        running.await_alerts({"TrustSuspiciousActivity"})
