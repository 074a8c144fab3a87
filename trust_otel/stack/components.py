"""How each component is started, and how to ask whether it is well."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from trust_otel.stack import files
from trust_otel.stack.ports import LOOPBACK
from trust_otel.stack.state import Addresses, port_of


@dataclass(frozen=True)
class Launch:
    """A command line, and what it needs in the environment."""

    command: list[str]
    environment: dict[str, str]


@dataclass(frozen=True)
class Component:
    """A component of the stack.

    `prepare` writes what the component needs into the run folder and says how to start it.
    `start_seconds` and `stop_seconds` are how long it may take to become healthy and to end by
    itself.
    """

    name: str
    prepare: Callable[[Path, Path, Addresses], Launch]
    address: Callable[[Addresses], str]
    health: Callable[[Addresses], str]
    start_seconds: float
    stop_seconds: float

    def healthy(self, addresses: Addresses) -> bool:
        """Whether the component answers that it is ready."""
        try:
            # A proxy of the environment has no business on loopback.
            with httpx.Client(trust_env=False, timeout=2.0) as client:
                return client.get(self.health(addresses)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


def _collector(executable: Path, directory: Path, addresses: Addresses) -> Launch:
    config = files.collector_config()
    return Launch(
        command=[str(executable), f"--config={config}"],
        environment={
            "TRUST_OTEL_STACK_OTLP_GRPC_PORT": str(port_of(addresses.otlp_grpc)),
            "TRUST_OTEL_STACK_OTLP_HTTP_PORT": str(port_of(addresses.otlp_http)),
            "TRUST_OTEL_STACK_COLLECTOR_EXPORTER_PORT": str(port_of(addresses.collector_prometheus_exporter)),
            "TRUST_OTEL_STACK_COLLECTOR_METRICS_PORT": str(port_of(addresses.collector_self_metrics)),
            "TRUST_OTEL_STACK_COLLECTOR_HEALTH_PORT": str(port_of(addresses.collector_health)),
            "TRUST_OTEL_STACK_COLLECTOR_DIRECTORY": str(directory / "collector" / "queue"),
            "TRUST_OTEL_STACK_PROMETHEUS_URL": addresses.prometheus,
        },
    )


def _prometheus(executable: Path, directory: Path, addresses: Addresses) -> Launch:
    folder = directory / "prometheus"
    targets = folder / "targets"
    targets.mkdir(parents=True, exist_ok=True)
    config = folder / "prometheus.yml"
    shutil.copy(files.prometheus_config(), config)
    _write_target(targets / "prometheus.json", addresses.prometheus)
    _write_target(targets / "collector.json", addresses.collector_self_metrics)
    return Launch(
        command=[
            str(executable),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.time=15d",
            f"--web.listen-address={LOOPBACK}:{port_of(addresses.prometheus)}",
            "--web.enable-otlp-receiver",
            # What this is for: see the head of monitoring/prometheus/prometheus.yml.
            "--enable-feature=created-timestamp-zero-ingestion",
        ],
        environment={},
    )


def _write_target(file: Path, url: str) -> None:
    file.write_text(json.dumps([{"targets": [f"{LOOPBACK}:{port_of(url)}"]}]) + "\n")


# In the order they are started; they are stopped the other way round, so that the Collector can
# hand over what it holds.
COMPONENTS = {
    component.name: component
    for component in (
        Component(
            name="prometheus",
            prepare=_prometheus,
            address=lambda addresses: addresses.prometheus,
            health=lambda addresses: f"{addresses.prometheus}/-/ready",
            # After a crash it reads its write-ahead log first.
            start_seconds=120,
            stop_seconds=30,
        ),
        Component(
            name="collector",
            prepare=_collector,
            address=lambda addresses: addresses.otlp_http,
            health=lambda addresses: addresses.collector_health,
            start_seconds=30,
            stop_seconds=15,
        ),
    )
}
