"""The commands and files of monitoring/compose/ without Docker, with paths and addresses of this machine."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import httpx
import pytest
import yaml
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader

from testbed.pipeline.program import Program
from tests.support.running import eventually
from trust_ops.stack.binaries import find
from trust_ops.stack.ports import LOOPBACK, free_ports
from trust_ops.stack.recipes import binaries

ROOT: Final = Path(__file__).parents[2]
_PORTS: Final = ("prometheus:9090", "alertmanager:9093", "collector:4317", "collector:8888", "collector:13133")


def _executable(name: str) -> str:
    return str(find(binaries()[name], os.environ, print))


class Machine:
    """A copy of the repository's files in which `prepare` has run, and a root folder for each container."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.compose = directory / "monitoring" / "compose"
        ignored = shutil.ignore_patterns("secrets", "data", ".env", "rendered")
        shutil.copytree(ROOT / "monitoring", directory / "monitoring", ignore=ignored)
        shutil.copytree(ROOT / "collector", directory / "collector")
        self.prepare()
        self.services: dict[str, Any] = yaml.safe_load((self.compose / "compose.yaml").read_text())["services"]
        self.addresses = {
            name: f"{LOOPBACK}:{port}" for name, port in zip(_PORTS, free_ports(len(_PORTS)), strict=True)
        }

    def prepare(self) -> None:
        subprocess.run([self.compose / "prepare"], check=True, cwd="/")

    def mapped(self, service: str, text: str) -> str:
        """The text with each mounted path and each address as this machine has them."""
        targets = "|".join(re.escape(volume.split(":")[1]) for volume in self.services[service]["volumes"])
        text = re.sub(rf"(?<![\w/])(?:{targets})(?![\w.-])", lambda found: f"{self._root(service)}{found[0]}", text)
        for name, address in self.addresses.items():
            own = f"0.0.0.0:{name.partition(':')[2]}" if name.startswith(service) else name
            text = text.replace(name, address).replace(own, address)
        return text.replace("localhost:9090", self.addresses["prometheus:9090"])

    def program(self, name: str, environment: dict[str, str], health: str, client: httpx.Client) -> Program:
        """The command of a service, with what it mounts."""
        service = self.services[name]
        for source, target in (volume.split(":")[:2] for volume in service["volumes"]):
            self._mount(name, self.compose / source, Path(f"{self._root(name)}{target}"))
        settings = {**service.get("environment", {}), **environment}
        command = [_executable(name), *(self.mapped(name, each) for each in service["command"])]
        mapped = {key: self.mapped(name, value) for key, value in settings.items()}
        return Program(name, command, mapped, {}, health, client, self.directory)

    def _root(self, service: str) -> Path:
        return self.directory / "roots" / service

    def _mount(self, service: str, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_relative_to(self.compose / "data") or source.is_relative_to(self.compose / "secrets"):
            target.symlink_to(source)
        elif source.is_dir():
            for each in source.iterdir():
                self._mount(service, each, target / each.name)
        else:
            target.write_text(self.mapped(service, source.read_text()))


@dataclass(frozen=True)
class Running:
    machine: Machine
    client: httpx.Client
    """Has the certificate `user`."""

    def prometheus(self, path: str, **parameters: str) -> Any:
        url = f"https://{self.machine.addresses['prometheus:9090']}/api/v1/{path}"
        return self.client.get(url, params=parameters).raise_for_status().json()["data"]


def _context(machine: Machine, name: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=machine.compose / "secrets" / "ca.crt")
    if name is not None:
        folder = machine.compose / "secrets" / name
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    machine = Machine(tmp_path_factory.mktemp("compose"))
    addresses = machine.addresses
    collector = {f"TRUST_OTEL_GATEWAY_{key}_ENDPOINT": addresses[f"collector:{port}"] for key, port in _COLLECTOR}
    collector |= {
        "TRUST_OTEL_GATEWAY_SELF_PORT": str(free_ports(1)[0]),
        "TRUST_OTEL_GATEWAY_TLS_DIRECTORY": "/etc/trust-otel/tls",
        "TRUST_OTEL_GATEWAY_QUEUE_DIRECTORY": "/var/lib/trust-otel/queue",
        "TRUST_OTEL_GATEWAY_EVENTS_FILE": "/var/lib/trust-otel/events.jsonl",
    } | {f"TRUST_OTEL_GATEWAY_{key}_FILE": f"/etc/trust-otel/tokens/{name}" for key, name in _TOKENS}
    with ExitStack() as stack:
        client = stack.enter_context(httpx.Client(verify=_context(machine, "user"), trust_env=False))
        programs = (
            machine.program("alertmanager", {}, f"http://{addresses['alertmanager:9093']}/-/ready", client),
            machine.program("prometheus", {}, f"https://{addresses['prometheus:9090']}/-/ready", client),
            machine.program("collector", collector, f"https://{addresses['collector:13133']}", client),
        )
        for program in programs:
            stack.callback(program.stop)
            program.start()
        yield Running(machine, client)


_COLLECTOR: Final = (("GRPC", 4317), ("METRICS", 8888), ("HEALTH", 13133))
_TOKENS: Final = (("TOKENS", "agents"), ("METRICS_TOKEN", "metrics"), ("STORES_PASSWORD", "stores"))


def _exported(running: Running, token: str) -> bool:
    folder = running.machine.compose / "secrets" / "trust-service"
    exporter = OTLPMetricExporter(
        endpoint=f"https://{running.machine.addresses['collector:4317']}",
        credentials=grpc.ssl_channel_credentials(
            *((folder / name).read_bytes() for name in ("ca.crt", "tls.key", "tls.crt"))
        ),
        headers={"authorization": f"Bearer {token}"},
        timeout=5,
    )
    results: list[MetricExportResult] = []
    export = exporter.export

    def recorded(*arguments: Any, **more: Any) -> MetricExportResult:
        results.append(export(*arguments, **more))
        return results[-1]

    exporter.export = recorded  # type: ignore[method-assign]
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=float("inf"))
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    provider.get_meter("test").create_counter("composed").add(7)
    provider.force_flush()
    provider.shutdown()
    return results[0] is MetricExportResult.SUCCESS


def test_a_value_of_the_service_is_in_prometheus(running: Running) -> None:
    assert not _exported(running, "wrong")
    token = (running.machine.compose / "secrets" / "tokens" / "agents").read_text()
    assert _exported(running, token)
    eventually(
        lambda: [each["value"][1] for each in running.prometheus("query", query="composed_total")["result"]], ["7"]
    )


def test_prometheus_reads_the_collector_and_itself_and_finds_alertmanager(running: Running) -> None:
    def up() -> set[str]:
        found = running.prometheus("query", query="up == 1")["result"]
        return {each["metric"]["job"] for each in found}

    eventually(up, {"prometheus", "otel-collector", "alertmanager"})
    (found,) = running.prometheus("alertmanagers")["activeAlertmanagers"]
    assert found["url"] == f"http://{running.machine.addresses['alertmanager:9093']}/api/v2/alerts"


@pytest.mark.parametrize("certificate", [None, "trust-service"])
def test_prometheus_refuses_all_but_the_named_certificates(running: Running, certificate: str | None) -> None:
    with (
        httpx.Client(verify=_context(running.machine, certificate), trust_env=False) as client,
        pytest.raises(httpx.TransportError),
    ):
        client.get(f"https://{running.machine.addresses['prometheus:9090']}/-/ready")


def test_the_health_check_of_prometheus_works(running: Running) -> None:
    _, _, *arguments = running.machine.services["prometheus"]["healthcheck"]["test"]
    command = [_executable("promtool"), *(running.machine.mapped("prometheus", each) for each in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_secrets_are_private_random_and_kept(tmp_path: Path) -> None:
    machine, other = Machine(tmp_path / "one"), Machine(tmp_path / "other")
    secrets = machine.compose / "secrets"
    files = [each for each in secrets.rglob("*") if each.is_file()]
    assert {each.stat().st_mode & 0o077 for each in (*files, secrets)} == {0}
    before = {each: each.read_bytes() for each in files}
    machine.prepare()
    assert {each: each.read_bytes() for each in files} == before
    same = {
        each.name for each in files if (other.compose / each.relative_to(machine.compose)).read_bytes() == before[each]
    }
    assert same == set()


@pytest.mark.parametrize("version", [None, "1.29.2", "2.19.9", "v2.3.3"])
def test_up_needs_a_recent_docker_compose(tmp_path: Path, version: str | None) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\necho {version}\n" if version else "#!/bin/sh\nexit 1\n")
    docker.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [ROOT / "monitoring" / "compose" / "up"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Docker Compose 2.20 or later is needed")
    assert not (ROOT / "monitoring" / "compose" / "secrets").exists()
