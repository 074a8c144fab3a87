"""The state of a stack: addresses and processes, stored as `stack.json` in its directory."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from trust_ops.private_files import changeable_by_others, open_private
from trust_ops.stack.ports import LOOPBACK, all_free, free_ports

# Optional components, and the cluster ports of a pair of Alertmanagers.
OPTIONAL = (
    "alertmanager",
    "alertmanager-2",
    "alertmanager-cluster",
    "alertmanager-2-cluster",
    "node-exporter",
    "postgres-exporter",
    "postgres-exporter-standby",
    "redis-exporter",
)


@dataclass(frozen=True)
class Addresses:
    """Where the components listen, as URLs on loopback."""

    otlp_http: str
    """Collector, OTLP over HTTP: the value for OTEL_EXPORTER_OTLP_ENDPOINT with `http/protobuf`."""
    otlp_grpc: str
    """Collector, OTLP over gRPC."""
    prometheus: str
    """Prometheus: its API and, below /api/v1/otlp, its OTLP receiver."""
    collector_prometheus_exporter: str
    """The metrics that the Collector received, in the Prometheus text format."""
    collector_self_metrics: str
    """The Collector's internal metrics, in the Prometheus text format."""
    collector_health: str
    """Responds with 200 while the Collector accepts data."""
    optional: Mapping[str, str]
    """The addresses of OPTIONAL, by name; reserved even while they are not part of the stack."""

    @classmethod
    def on_free_ports(cls) -> "Addresses":
        """Addresses on free ports. Raises OSError when there are none."""
        urls = (f"http://{LOOPBACK}:{port}" for port in free_ports(6 + len(OPTIONAL)))
        return cls(
            otlp_http=next(urls),
            otlp_grpc=next(urls),
            prometheus=next(urls),
            collector_prometheus_exporter=f"{next(urls)}/metrics",
            collector_self_metrics=f"{next(urls)}/metrics",
            collector_health=next(urls),
            optional=dict(zip(OPTIONAL, urls, strict=True)),
        )

    def always(self) -> dict[str, str]:
        """The addresses that every stack has, by name."""
        return {name: url for name, url in asdict(self).items() if name != "optional"}

    def free(self) -> bool:
        """Whether nothing listens on any of the addresses."""
        return all_free(port_of(url) for url in (*self.always().values(), *self.optional.values()))


def port_of(url: str) -> int:
    """The explicit port of a URL. Raises ValueError when there is none."""
    port = urlsplit(url).port
    if port is None:
        raise ValueError(f"{url} has no port")
    return port


@dataclass(frozen=True)
class ProcessRecord:
    """A process that a stack started.

    `started` (Unix time in seconds) distinguishes it from a later process with the same pid.
    """

    pid: int
    started: float


@dataclass(frozen=True)
class ComponentStatus:
    """The status of one component."""

    name: str
    running: bool
    healthy: bool
    pid: int | None
    address: str
    log: Path


@dataclass
class State:
    """The content of `stack.json`."""

    addresses: Addresses
    processes: dict[str, ProcessRecord] = field(default_factory=dict)


def load(path: Path) -> State | None:
    """The state in the file; None when there is none, or when it is of another version."""
    try:
        if changeable_by_others(path):
            # Not trusted: `down` would signal the process ids in it.
            return None
        content = json.loads(path.read_text())
        addresses = Addresses(**content["addresses"])
        if set(addresses.optional) != set(OPTIONAL):
            return None
        return State(
            addresses=addresses,
            processes={name: ProcessRecord(**record) for name, record in content["processes"].items()},
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def save(path: Path, state: State) -> None:
    """Replace the file atomically."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with open(temporary, "w", opener=open_private) as file:
        file.write(json.dumps(_plain(state), indent=2) + "\n")
    temporary.replace(path)


def _plain(state: State) -> Mapping[str, object]:
    return {
        "addresses": asdict(state.addresses),
        "processes": {name: asdict(record) for name, record in state.processes.items()},
    }
