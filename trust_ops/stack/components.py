"""How each component is started and checked."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx

from trust_ops.stack import files, targets
from trust_ops.stack.errors import ComponentError
from trust_ops.stack.inputs import Inputs
from trust_ops.stack.ports import LOOPBACK
from trust_ops.stack.state import Addresses, port_of

T = TypeVar("T")


@dataclass(frozen=True)
class StartContext:
    """The context a component is started in; `components` are the names of all components of the stack."""

    executable: Path
    directory: Path
    addresses: Addresses
    inputs: Inputs
    components: frozenset[str]


@dataclass(frozen=True)
class Launch:
    """A command line and its additional environment variables."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Component:
    """A component of the stack.

    `prepare` writes the component's files into the stack directory and returns its command line.
    `start_seconds` and `stop_seconds` are the timeouts for becoming healthy and for a graceful stop.
    `binary` is the name of its executable, `needs` the field of Inputs that it requires.
    """

    name: str
    binary: str
    prepare: Callable[[StartContext], Launch]
    address: Callable[[Addresses], str]
    health: Callable[[Addresses], str]
    start_seconds: float
    stop_seconds: float
    needs: str | None = None

    def check(self, inputs: Inputs) -> None:
        """Raise ComponentError when a required input is missing."""
        if self.needs is not None and getattr(inputs, self.needs) is None:
            raise ComponentError(f"{self.name} cannot be started: pass Inputs({self.needs}=...) to the stack")

    def healthy(self, addresses: Addresses) -> bool:
        """Whether the component reports that it is ready."""
        try:
            # Loopback addresses are reached directly, not through a proxy from the environment.
            with httpx.Client(trust_env=False, timeout=2.0) as client:
                return client.get(self.health(addresses)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


def _required(value: T | None) -> T:
    assert value is not None  # noqa: S101 - ensured by Component.check()
    return value


def _collector(start: StartContext) -> Launch:
    addresses, inputs = start.addresses, start.inputs
    environment = {
        "TRUST_OTEL_STACK_OTLP_GRPC_PORT": str(port_of(addresses.otlp_grpc)),
        "TRUST_OTEL_STACK_OTLP_HTTP_PORT": str(port_of(addresses.otlp_http)),
        "TRUST_OTEL_STACK_COLLECTOR_EXPORTER_PORT": str(port_of(addresses.collector_prometheus_exporter)),
        "TRUST_OTEL_STACK_COLLECTOR_METRICS_PORT": str(port_of(addresses.collector_self_metrics)),
        "TRUST_OTEL_STACK_COLLECTOR_HEALTH_PORT": str(port_of(addresses.collector_health)),
        "TRUST_OTEL_STACK_COLLECTOR_DIRECTORY": str(start.directory / "collector" / "queue"),
        "TRUST_OTEL_STACK_EVENTS_FILE": str(start.directory / "events" / "security-events.jsonl"),
        "TRUST_OTEL_STACK_PROMETHEUS_URL": inputs.collector_sends_to or addresses.prometheus,
    }
    if inputs.collector_queue_size is not None:
        environment["TRUST_OTEL_STACK_COLLECTOR_QUEUE_SIZE"] = str(inputs.collector_queue_size)
    targets.write(start.directory, "collector", [targets.local(addresses.collector_self_metrics)])
    return Launch([str(start.executable), f"--config={files.collector_config()}"], environment)


def _prometheus(start: StartContext) -> Launch:
    folder = start.directory / "prometheus"
    folder.mkdir(parents=True, exist_ok=True)
    given = start.inputs.prometheus_config
    for file in files.prometheus_files() if given is None else given.glob("*.yml"):
        shutil.copy(file, folder)
    url = start.addresses.prometheus
    targets.write(start.directory, "prometheus", [targets.local(url)])
    return Launch(
        [
            str(start.executable),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.time=15d",
            f"--web.listen-address={LOOPBACK}:{port_of(url)}",
            # Used in the links of alerts; the default is the host name.
            f"--web.external-url={url}",
            # By default, any website can read all metrics through the browser of a user of this machine.
            f"--web.cors.origin={re.escape(url)}",
            "--web.enable-otlp-receiver",
            # After a restart, pending alerts (`for`) wait at least this long; the default is 10 minutes.
            "--rules.alert.for-grace-period=1m",
            # See the head of monitoring/prometheus/prometheus.yml for the reasons.
            "--enable-feature=created-timestamp-zero-ingestion,exemplar-storage",
        ]
    )


def _alertmanager(name: str, peer: str) -> Callable[[StartContext], Launch]:
    def prepare(start: StartContext) -> Launch:
        url = start.addresses.optional[name]
        targets.write(start.directory, name, [targets.local(url)])
        return Launch(
            [
                str(start.executable),
                f"--config.file={_required(start.inputs.alertmanager_config).resolve()}",
                f"--storage.path={start.directory / name}",
                # Longer than any repeat_interval: the notification log must last until the next repeat.
                "--data.retention=120h",
                # After a crash, at most the notifications of the last minute are sent twice.
                "--data.maintenance-interval=1m",
                # Lets inhibiting alerts arrive before the first notification; Prometheus resends all once a minute.
                "--dispatch.start-delay=1m",
                f"--web.listen-address={LOOPBACK}:{port_of(url)}",
                f"--web.external-url={url}",
                *_cluster(start, name, peer),
            ]
        )

    return prepare


def _cluster(start: StartContext, name: str, peer: str) -> list[str]:
    if peer not in start.components:
        # Empty: no cluster, and no port for one.
        return ["--cluster.listen-address="]
    own, other = (f"{LOOPBACK}:{port_of(start.addresses.optional[f'{each}-cluster'])}" for each in (name, peer))
    return [
        f"--cluster.listen-address={own}",
        f"--cluster.advertise-address={own}",
        f"--cluster.peer={other}",
        # Less than the peer timeout (15 s), after which the second member notifies too: gossip is too slow for a burst.
        "--cluster.pushpull-interval=5s",
    ]


# Collectors that panels, rules or troubleshooting need.
_NODE_COLLECTORS = (
    *("cpu", "diskstats", "filefd", "filesystem", "loadavg", "meminfo", "netclass", "netdev"),
    *("pressure", "stat", "time", "uname", "vmstat"),
)


def _node_exporter(start: StartContext) -> Launch:
    url = start.addresses.optional["node-exporter"]
    targets.write(start.directory, "node", [targets.local(url)])
    return Launch(
        [
            str(start.executable),
            f"--web.listen-address={LOOPBACK}:{port_of(url)}",
            # The others are for hardware and systems that most machines lack; each would report a failed collection.
            "--collector.disable-defaults",
            *(f"--collector.{collector}" for collector in _NODE_COLLECTORS),
        ]
    )


def _postgres_exporter(
    name: str, target: str, server: Callable[[Inputs], str | None]
) -> Callable[[StartContext], Launch]:
    def prepare(start: StartContext) -> Launch:
        url = start.addresses.optional[name]
        targets.write(start.directory, target, [targets.local(url)])
        return Launch(
            [
                str(start.executable),
                f"--web.listen-address={LOOPBACK}:{port_of(url)}",
                f"--extend.query-path={files.postgresql_queries()}",
            ],
            # In the environment: every user of the machine can read a command line, and the URL may hold a password.
            {"DATA_SOURCE_NAME": _required(server(start.inputs))},
        )

    return prepare


def _redis_exporter(start: StartContext) -> Launch:
    url = start.addresses.optional["redis-exporter"]
    targets.write(start.directory, "redis", [targets.local(url)])
    return Launch(
        [str(start.executable), "-web.listen-address", f"{LOOPBACK}:{port_of(url)}"],
        {"REDIS_ADDR": _required(start.inputs.redis)},
    )


def _optional(
    name: str, binary: str, prepare: Callable[[StartContext], Launch], *, needs: str | None = None, health: str = "/"
) -> Component:
    return Component(
        name=name,
        binary=binary,
        prepare=prepare,
        address=lambda addresses: addresses.optional[name],
        health=lambda addresses: f"{addresses.optional[name]}{health}",
        start_seconds=30,
        stop_seconds=15,
        needs=needs,
    )


# In start order; they are stopped in reverse, so that the Collector can flush its queue to Prometheus,
# and Prometheus can send its alerts.
COMPONENTS = {
    component.name: component
    for component in (
        _optional(
            "alertmanager",
            "alertmanager",
            _alertmanager("alertmanager", peer="alertmanager-2"),
            needs="alertmanager_config",
            health="/-/ready",
        ),
        _optional(
            "alertmanager-2",
            "alertmanager",
            _alertmanager("alertmanager-2", peer="alertmanager"),
            needs="alertmanager_config",
            health="/-/ready",
        ),
        Component(
            name="prometheus",
            binary="prometheus",
            prepare=_prometheus,
            address=lambda addresses: addresses.prometheus,
            health=lambda addresses: f"{addresses.prometheus}/-/ready",
            # After a crash it replays its write-ahead log first.
            start_seconds=120,
            stop_seconds=30,
        ),
        Component(
            name="collector",
            binary="collector",
            prepare=_collector,
            address=lambda addresses: addresses.otlp_http,
            health=lambda addresses: addresses.collector_health,
            start_seconds=30,
            stop_seconds=15,
        ),
        _optional("node-exporter", "node_exporter", _node_exporter),
        _optional(
            "postgres-exporter",
            "postgres_exporter",
            _postgres_exporter("postgres-exporter", "postgres", lambda inputs: inputs.postgresql),
            needs="postgresql",
        ),
        _optional(
            "postgres-exporter-standby",
            "postgres_exporter",
            _postgres_exporter(
                "postgres-exporter-standby", "postgres-standby", lambda inputs: inputs.postgresql_standby
            ),
            needs="postgresql_standby",
        ),
        _optional("redis-exporter", "redis_exporter", _redis_exporter, needs="redis", health="/health"),
    )
}
