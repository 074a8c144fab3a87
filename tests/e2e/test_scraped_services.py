"""Services that Prometheus scrapes, with and without a Collector: alerts about missing services, and their inhibition.

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
# Alerts fire within a minute (divided); a busy machine may take longer.
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
    """An idle program under `opentelemetry-instrument`."""
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
    """The services with a heartbeat in Prometheus."""
    with PrometheusClient(_addresses(stack).prometheus) as prometheus:
        return {sample.labels["service_name"] for sample in prometheus.query("service:trust_otel_instances:count")}


def _alert_states(stack: Stack, name: str) -> dict[str, str]:
    """The state of each alert of this name in Alertmanager: `active` or `suppressed`."""
    url = _addresses(stack).optional["alertmanager"]
    found = httpx.get(f"{url}/api/v2/alerts", params={"filter": f'alertname="{name}"'}, trust_env=False).json()
    return {
        f"{alert['labels']['service']} {alert['labels']['severity']}": alert["status"]["state"]
        for alert in found
        if "escalation_level" not in alert["labels"]
    }


def _collector_down(stack: Stack) -> dict[str, str]:
    return {who: state for who, state in _alert_states(stack, _COLLECTOR_DOWN).items() if who.endswith("critical")}


def test_without_a_collector_the_alert_about_a_killed_service_is_not_inhibited(
    tmp_path: Path, receivers: Receivers
) -> None:
    with _site(tmp_path, receivers, "alertmanager", "prometheus") as stack, _scraped(stack, "issuer") as issuer:
        eventually(lambda: _alive(stack), {"issuer"}, _SECONDS)
        issuer.kill()
        eventually(lambda: _alert_states(stack, _DOWN), {"issuer critical": "active"}, _SECONDS)
        eventually(lambda: _alert_states(stack, "TrustServiceInstanceDown"), {"issuer warning": "suppressed"}, _SECONDS)
        assert _collector_down(stack) == {}


def test_a_dead_collector_inhibits_alerts_of_pushing_services_but_not_of_scraped_ones(
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
        eventually(lambda: _alert_states(stack, _DOWN), expected, _SECONDS)


def test_a_rollout_or_restart_of_scraped_services_fires_no_alert(tmp_path: Path, receivers: Receivers) -> None:
    with (
        _site(tmp_path, receivers, "alertmanager", "prometheus") as stack,
        _scraped(stack, "issuer") as old,
        _scraped(stack, "witness") as witness,
    ):
        eventually(lambda: _alive(stack), {"issuer", "witness"}, _SECONDS)
        # The new instance replaces the old one in the targets.
        with _scraped(stack, "issuer"):
            old.terminate()
            witness.kill()
            # By now an alert about the old one would fire too.
            expected = {"witness warning": "suppressed"}
            eventually(lambda: _alert_states(stack, "TrustServiceInstanceDown"), expected, _SECONDS)
            assert _alert_states(stack, _DOWN) == {"witness critical": "active"}
