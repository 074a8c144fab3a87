"""Services that Prometheus scrapes itself, with and without a Collector: who is missed, and what silences it.

The project's rules and Alertmanager's configuration, with every duration divided by the same factor.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from testbed.drill.receivers import Receivers
from testbed.drill.scaling import scaled_seconds, write_scaled
from tests.support.alerting import configured
from tests.support.running import eventually
from trust_ops.stack import Addresses, Inputs, PrometheusClient, Stack
from trust_ops.stack.ports import LOOPBACK, free_ports
from trust_ops.stack.targets import Target

_FACTOR = 6.0
_DOWN, _COLLECTOR_DOWN = "TrustServiceDown", "TrustMonitoringTargetDown"
# Alerts of this test's services and Collector come within a minute (divided); a busy machine may take longer.
_SECONDS = 120.0


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    with Receivers() as running:
        yield running


@contextmanager
def _site(folder: Path, receivers: Receivers, *components: str) -> Iterator[Stack]:
    write_scaled(folder / "rules", _FACTOR)
    inputs = Inputs(
        prometheus_config=folder / "rules",
        alertmanager_config=configured(receivers, _FACTOR, folder / "alertmanager"),
    )
    with Stack(folder / "stack", components=components, inputs=inputs, on_progress=print) as stack:
        stack.up()
        yield stack


@contextmanager
def _service(name: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program under the distribution that does nothing but live."""
    launcher = Path(sys.executable).with_name("opentelemetry-instrument")
    process = subprocess.Popen(
        [launcher, sys.executable, "-c", "import time; time.sleep(600)"],
        env={
            **os.environ,
            "OTEL_SERVICE_NAME": name,
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            **environment,
        },
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def _scraped(stack: Stack, name: str) -> Iterator[subprocess.Popen[bytes]]:
    (port,) = free_ports(1)
    endpoint = {
        "OTEL_METRICS_EXPORTER": "prometheus",
        "OTEL_EXPORTER_PROMETHEUS_HOST": LOOPBACK,
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
    }
    with _service(name, **endpoint) as process:
        eventually(lambda: _answers(port), True, _SECONDS)
        stack.scrape(f"trust-service-{name}", [Target(f"{LOOPBACK}:{port}")])
        yield process


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://{LOOPBACK}:{port}/metrics", trust_env=False, timeout=5).is_success
    except httpx.TransportError:
        return False


@contextmanager
def _pushing(stack: Stack, name: str) -> Iterator[subprocess.Popen[bytes]]:
    interval = f"{scaled_seconds('15s', _FACTOR) * 1000:.0f}"
    endpoint = _addresses(stack).otlp_http
    with _service(name, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_METRIC_EXPORT_INTERVAL=interval) as process:
        yield process


def _addresses(stack: Stack) -> Addresses:
    found = stack.addresses()
    assert found is not None
    return found


def _alive(stack: Stack) -> set[str]:
    """The services that Prometheus counts as alive."""
    with PrometheusClient(_addresses(stack).prometheus) as prometheus:
        return {sample.labels["service_name"] for sample in prometheus.query("service:trust_otel_instances:count")}


def _told(stack: Stack, name: str) -> dict[str, str]:
    """The alerts of this name that Alertmanager has, by service: `active`, or `suppressed` by another."""
    url = _addresses(stack).optional["alertmanager"]
    found = httpx.get(f"{url}/api/v2/alerts", params={"filter": f'alertname="{name}"'}, trust_env=False).json()
    return {
        f"{alert['labels']['service']} {alert['labels']['severity']}": alert["status"]["state"]
        for alert in found
        if "escalation_level" not in alert["labels"]
    }


def _collector_down(stack: Stack) -> dict[str, str]:
    return {who: state for who, state in _told(stack, _COLLECTOR_DOWN).items() if who.endswith("critical")}


def test_without_a_collector_a_killed_service_is_missed_and_nothing_silences_it(
    tmp_path: Path, receivers: Receivers
) -> None:
    with _site(tmp_path, receivers, "alertmanager", "prometheus") as stack, _scraped(stack, "issuer") as issuer:
        eventually(lambda: _alive(stack), {"issuer"}, _SECONDS)
        issuer.kill()
        eventually(lambda: _told(stack, _DOWN), {"issuer critical": "active"}, _SECONDS)
        eventually(lambda: _told(stack, "TrustServiceInstanceDown"), {"issuer warning": "suppressed"}, _SECONDS)
        assert _collector_down(stack) == {}


def test_a_dead_collector_silences_the_services_that_push_through_it_and_not_those_that_are_scraped(
    tmp_path: Path, receivers: Receivers
) -> None:
    with (
        _site(tmp_path, receivers, "alertmanager", "prometheus", "collector") as stack,
        _scraped(stack, "issuer") as issuer,
        _pushing(stack, "archive"),
    ):
        eventually(lambda: _alive(stack), {"issuer", "archive"}, _SECONDS)
        stack.kill("collector")
        issuer.kill()
        eventually(lambda: _collector_down(stack), {"monitoring critical": "active"}, _SECONDS)
        expected = {"issuer critical": "active", "archive critical": "suppressed"}
        eventually(lambda: _told(stack, _DOWN), expected, _SECONDS)


def test_a_rollout_and_a_restart_of_scraped_services_miss_no_instance(tmp_path: Path, receivers: Receivers) -> None:
    with (
        _site(tmp_path, receivers, "alertmanager", "prometheus") as stack,
        _scraped(stack, "issuer") as old,
        _scraped(stack, "witness") as witness,
    ):
        eventually(lambda: _alive(stack), {"issuer", "witness"}, _SECONDS)
        # The new one takes the place of the old one in the list of targets.
        with _scraped(stack, "issuer"):
            old.terminate()
            witness.kill()
            # By now the old one would be missed too.
            eventually(lambda: _told(stack, "TrustServiceInstanceDown"), {"witness warning": "suppressed"}, _SECONDS)
            assert _told(stack, _DOWN) == {"witness critical": "active"}
