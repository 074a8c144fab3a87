"""The environment of a drill: stack, receivers, services with traffic, and their dependencies."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from examples.demo.program import plain_environment
from examples.demo.service import TrustService
from testbed.drill.backfill import backfill
from testbed.drill.kubernetes import Kubernetes
from testbed.drill.postgresql import Cluster, Standby, replicated
from testbed.drill.receivers import Receivers
from testbed.drill.redis import Redis
from testbed.drill.scaling import scaled_seconds, write_scaled
from testbed.drill.service_client import ServiceClient, repeated_calls
from testbed.drill.tcp_proxy import TcpProxy
from testbed.load_generator import REPUTATION_FEED, LoadConfig, LoadReport, generate_load
from testbed.load_generator.operations import ALL_OPERATIONS, calm_operations
from trust_ops.site_config import files as rendering
from trust_ops.site_config import scaled
from trust_ops.stack import Addresses, Inputs, PrometheusClient, Stack
from trust_ops.stack.state import port_of

ENVIRONMENT = "drill"
SERVICE, ARCHIVE, GATEWAY = "trust-service", "trust-archive", "trust-gateway"
# Operations per second of the traffic.
RATE = 10.0

_COMPONENTS = (
    *("prometheus", "collector", "alertmanager", "node-exporter"),
    *("postgres-exporter", "postgres-exporter-standby", "redis-exporter"),
)
_EXPORT = "15s"
# In data points: fills within seconds when nothing is sent, and never in normal operation.
_QUEUE_SIZE = 60_000
_INSTANCES = 2
# Validations per second: enough that random failures stay below 10 % within the shortened windows.
_VALIDATION_RATE = 20.0
# Enough requests that a few errors are a small share of them. The rate is fixed, independent of the machine's speed,
# because the error rate must stay between one and six times the budget for minutes.
_ARCHIVE_CALLERS, _ARCHIVE_RATE = 2, 25.0
# After this (shortened) time, half an hour of traffic can be compared with yesterday.
_WARM_UP = "40m"
_REVENUE_PER_DOCUMENT = 50.0
_FAULTY_RULES = """
groups:
  - name: drill
    rules:
      # Removing `part` makes both series equal, which is an evaluation error.
      - record: drill:fault:joined
        expr: label_replace(drill_fault == 1, "part", "", "", "")
"""


@dataclass
class Environment:
    """The running environment that faults are injected into.

    Attributes:
        factor: Factor by which durations are shortened.
        folder: Directory of all logs and data.
        client: Client of the service.
        archive_client: Client of the archive, whose error budgets burn.
        gateway: Processes of the gateway's instances.
        ct_feed: Certificates that a monitor of certificate transparency found for the gateway.
    """

    factor: float
    folder: Path
    receivers: Receivers
    stack: Stack
    addresses: Addresses
    prometheus: PrometheusClient
    proxy: TcpProxy
    primary: Cluster
    standby: Standby
    redis: Redis
    kubernetes: Kubernetes
    service: TrustService
    client: ServiceClient
    archive_client: ServiceClient
    gateway: list[subprocess.Popen[bytes]]
    feed: Path
    ct_feed: Path
    start_instance: Callable[[], subprocess.Popen[bytes]]
    start_traffic: Callable[[], None]
    stop_traffic: Callable[[], None]

    @property
    def certificates(self) -> Path:
        """The directory of certificates that the service monitors."""
        return self.folder / "service" / "certificates"

    def seconds(self, duration: str) -> float:
        """A duration of the rules, shortened, in seconds."""
        return scaled_seconds(duration, self.factor)


@contextmanager
def environment(folder: Path, factor: float, on_progress: Callable[[str], None]) -> Iterator[Environment]:
    """Start everything, and stop it at the end. Raises the errors of parts that do not start."""
    folder = folder.resolve()
    with ExitStack() as running:
        on_progress("starting receivers, PostgreSQL with a replica, Redis, Kubernetes' metrics")
        receivers = running.enter_context(Receivers())
        primary, standby = running.enter_context(replicated())
        redis = running.enter_context(Redis(folder))
        kubernetes = running.enter_context(Kubernetes())
        proxy = running.enter_context(TcpProxy())
        _write_configuration(folder, factor, receivers.environment())
        stack = running.enter_context(_stack(folder, primary, standby, redis, proxy, on_progress))
        _backfill_yesterday(folder, stack.directory / "prometheus" / "data", factor)
        addresses = stack.up()
        proxy.set_target(port_of(addresses.prometheus))
        stack.scrape("kube-state-metrics", kubernetes.state_metrics())
        stack.scrape("kubelet", kubernetes.kubelets())
        telemetry = telemetry_settings(addresses, factor)
        feed = folder / "reputation.txt"
        feed.write_text("203.0.113.200\n")

        on_progress("starting the services and their traffic")
        service = running.enter_context(_service(folder / "service", SERVICE, telemetry, primary, redis, feed))
        archive = running.enter_context(_service(folder / "archive", ARCHIVE, telemetry))
        client = running.enter_context(ServiceClient(service))
        archive_client = running.enter_context(ServiceClient(archive))
        instances = Instances(folder, telemetry)
        running.callback(instances.end)
        traffic = Traffic(service)
        running.callback(traffic.stop)
        traffic.start()
        running.enter_context(repeated_calls(client.validate, _VALIDATION_RATE))
        for call in (archive_client.get_prices, archive_client.validate):
            running.enter_context(repeated_calls(call, _ARCHIVE_RATE, _ARCHIVE_CALLERS))
        yield Environment(
            factor=factor,
            folder=folder,
            receivers=receivers,
            stack=stack,
            addresses=addresses,
            prometheus=running.enter_context(PrometheusClient(addresses.prometheus)),
            proxy=proxy,
            primary=primary,
            standby=standby,
            redis=redis,
            kubernetes=kubernetes,
            service=service,
            client=client,
            archive_client=archive_client,
            gateway=[instances.start() for _ in range(_INSTANCES)],
            feed=feed,
            ct_feed=instances.ct_feed,
            start_instance=instances.start,
            start_traffic=traffic.start,
            stop_traffic=traffic.stop,
        )


class Traffic:
    """The load generator's traffic, in its own thread.

    Args:
        service: The service to call.
        calm: Whether to leave out operations that may cause alerts.
        scenario: The scenario to run.
        seconds: Duration of the scenario, and of the traffic unless it is stopped.
    """

    def __init__(
        self, service: TrustService, *, calm: bool = True, scenario: str | None = None, seconds: float = 24 * 3600
    ) -> None:
        self._config = LoadConfig(
            url=service.url,
            admin_token=service.admin_token,
            grpc_target=service.grpc_target,
            rate=RATE,
            duration_seconds=seconds,
            calm=calm,
            scenario=scenario,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._running = Event()
        self.report: LoadReport | None = None

    def start(self) -> None:
        """Start, unless it is running."""
        if self._thread is None:
            self._loop, self._stop = asyncio.new_event_loop(), asyncio.Event()
            self._thread = Thread(target=self._run, args=(self._loop, self._stop), name="traffic", daemon=True)
            self._thread.start()

    def await_operations(self, timeout: float) -> bool:
        """Wait until accounts are created and operations start; returns whether they did in time."""
        return self._running.wait(timeout)

    def stop(self) -> None:
        """Stop after running operations have finished."""
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
            self._thread = None

    def _run(self, loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
        self.report = loop.run_until_complete(generate_load(self._config, lambda _: self._running.set(), stop))
        loop.close()


class Instances:
    """Instances of a small service, as processes."""

    def __init__(self, folder: Path, telemetry: Mapping[str, str]) -> None:
        self._log = folder / "gateway.log"
        self.ct_feed = folder / "ct-feed.jsonl"
        self.ct_feed.touch()
        self._environment = {
            **plain_environment(),
            **telemetry,
            "OTEL_SERVICE_NAME": GATEWAY,
            "TRUST_OTEL_CT_FEED": str(self.ct_feed),
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        launcher = Path(sys.executable).with_name("opentelemetry-instrument")
        with self._log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - a module of this package
                [str(launcher), sys.executable, "-m", "testbed.drill.instance"],
                env=self._environment,
                cwd=Path(__file__).parents[2],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self._started.append(process)
        return process

    def end(self) -> None:
        """Stop all: they exit when their standard input is closed."""
        for process in self._started:
            if process.stdin is not None:
                process.stdin.close()
        for process in self._started:
            process.wait()


def _write_configuration(folder: Path, factor: float, environment: Mapping[str, str]) -> None:
    prometheus = folder / "configuration" / "prometheus"
    write_scaled(prometheus, factor)
    (prometheus / "drill-faults.yml").write_text(_FAULTY_RULES)
    configuration = prometheus / "prometheus.yml"
    configuration.write_text(configuration.read_text().replace("rule_files:\n", "rule_files:\n- drill-faults.yml\n"))
    alertmanager = folder / "configuration" / "alertmanager"
    rendered = rendering.render(environment, str(alertmanager / rendering.SECRETS))
    faster = scaled(rendered.configuration, factor)
    rendering.write(rendering.Rendered(faster, rendered.texts, rendered.secrets), alertmanager)


def _stack(
    folder: Path, primary: Cluster, standby: Standby, redis: Redis, proxy: TcpProxy, on_progress: Callable[[str], None]
) -> Stack:
    configuration = folder / "configuration"
    inputs = Inputs(
        prometheus_config=configuration / "prometheus",
        alertmanager_config=configuration / "alertmanager" / rendering.CONFIGURATION,
        postgresql=f"{primary.url}?sslmode=disable",
        postgresql_standby=f"{standby.url}?sslmode=disable",
        redis=redis.url,
        collector_sends_to=proxy.url,
        collector_queue_size=_QUEUE_SIZE,
    )
    return Stack(folder / "stack", components=_COMPONENTS, inputs=inputs, on_progress=on_progress)


def _backfill_yesterday(folder: Path, data: Path, factor: float) -> None:
    """Backfill yesterday's documents and sales, starting late enough that half an hour of data is compared."""
    weights = {name: operation.weight for name, operation in calm_operations(ALL_OPERATIONS).items()}
    documents = weights["document.submit"] + weights["document.submit.unreadable"]
    rate = RATE * documents / sum(weights.values())
    labels = {"deployment_environment_name": ENVIRONMENT, "service_name": SERVICE}
    in_euros = {**labels, "trust_currency": "EUR"}
    now = time.time()
    day = scaled_seconds("1d", factor)
    data.mkdir(parents=True)
    backfill(
        data,
        {
            "service:trust_document_processing:rate30m": (labels, rate),
            "service:trust_revenue_amount:rate30m": (in_euros, rate * _REVENUE_PER_DOCUMENT),
            "service:trust_revenue_amount:changes30m": (in_euros, rate * scaled_seconds("30m", factor)),
        },
        begin=now - day + scaled_seconds(_WARM_UP, factor) + 30,
        end=now - 60,
        scratch=folder,
    )


def telemetry_settings(addresses: Addresses, factor: float) -> dict[str, str]:
    """Variables of a process that exports to the stack."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": addresses.otlp_http,
        "OTEL_METRIC_EXPORT_INTERVAL": f"{scaled_seconds(_EXPORT, factor) * 1000:.0f}",
        "OTEL_RESOURCE_ATTRIBUTES": f"deployment.environment.name={ENVIRONMENT}",
    }


def _service(
    folder: Path,
    name: str,
    telemetry: Mapping[str, str],
    database: Cluster | None = None,
    cache: Redis | None = None,
    feed: Path | None = None,
) -> TrustService:
    folder.mkdir()
    settings = {
        **telemetry,
        "OTEL_SERVICE_NAME": name,
        # Often enough for the shortened time after which a source counts as not checked.
        "TRUST_OTEL_TIME_SERVER_INTERVAL": "5",
    }
    dependencies = []
    if database is not None:
        settings["TRUST_SERVICE_DATABASE_URL"] = database.url.replace("postgresql://", "postgresql+asyncpg://")
    if cache is not None:
        dependencies.append(f"sessions={cache.url}")
    if feed is not None:
        settings["TRUST_OTEL_REPUTATION_FEEDS"] = f"{REPUTATION_FEED}={feed}"
    return TrustService(folder, settings, dependencies)
