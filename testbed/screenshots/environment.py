"""The environment of the screenshots: all sources of the dashboards, with traffic, in real time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import redis as redis_client

from examples.demo.service import TrustService
from testbed.drill.environment import Instances, Traffic
from testbed.drill.kubernetes import Kubernetes
from testbed.drill.postgresql import Cluster, replicated
from testbed.drill.receivers import Receivers
from testbed.drill.redis import Redis
from testbed.drill.service_client import repeated_calls
from testbed.drill.tcp_proxy import TcpProxy
from testbed.load_generator import LoadReport
from testbed.screenshots.backfill import backfill_two_weeks
from testbed.screenshots.grafana import grafana
from trust_ops.site_config import files as rendering
from trust_ops.stack import Addresses, Inputs, Stack
from trust_ops.stack.state import port_of

ENVIRONMENT: Final = "pictures"
SERVICE: Final = "trust-service"
SCENARIOS: Final = ("database-down", "attack", "revenue-drop", "collector-cannot-deliver")

_COMPONENTS = (
    *("prometheus", "collector", "alertmanager", "node-exporter"),
    *("postgres-exporter", "postgres-exporter-standby", "redis-exporter"),
)
_INSTANCES = 2
_START_SECONDS = 30
_CACHE_RATE = 5.0
# Every tenth requested key is missing in the cache.
_CACHED, _REQUESTED = 90, 100


@dataclass
class Environment:
    """The running environment.

    Attributes:
        stack: Prometheus and its targets.
        addresses: Addresses of the stack's components.
        service: The service with traffic.
        primary: The service's database.
        proxy: Between the Collector and Prometheus.
        began: Unix time of the service's start.
        calm: Whether the traffic leaves out operations that may cause alerts.
    """

    stack: Stack
    addresses: Addresses
    service: TrustService
    primary: Cluster
    proxy: TcpProxy
    began: float
    calm: bool
    _traffic: Traffic = field(init=False)

    def start_traffic(self) -> None:
        """Start the traffic."""
        self._traffic = Traffic(self.service, calm=self.calm)
        self._traffic.start()

    def stop_traffic(self) -> LoadReport:
        """Stop the traffic after its running operations; returns its report."""
        self._traffic.stop()
        report = self._traffic.report
        if report is None:
            raise RuntimeError(f"the traffic ended with an error; see {self.service.log}")
        return report

    @contextmanager
    def scenario(self, name: str, seconds: float) -> Iterator[None]:
        """Run traffic with one of `SCENARIOS` while the block is open, for at most so many seconds.

        Other traffic must have been stopped.
        """
        # The database is stopped, or the connection cut, instead of running the load generator's scenario.
        faults = {
            "database-down": (self.primary.stop, self.primary.start),
            "collector-cannot-deliver": (self.proxy.cut, self.proxy.restore),
        }
        scenario = None if name in faults else name
        self._traffic = Traffic(self.service, calm=self.calm, scenario=scenario, seconds=seconds)
        self._traffic.start()
        with ExitStack() as ending:
            ending.callback(self._traffic.stop)
            if not self._traffic.await_operations(_START_SECONDS):
                raise RuntimeError(f"the traffic did not start in {_START_SECONDS} s; see {self.service.log}")
            if name in faults:
                inject, repair = faults[name]
                ending.callback(repair)
                inject()
            yield


@contextmanager
def environment(folder: Path, on_progress: Callable[[str], None], *, calm: bool = False) -> Iterator[Environment]:
    """Start the environment, and stop it at the end. Raises the errors of parts that do not start."""
    folder = folder.resolve()
    with ExitStack() as running:
        on_progress("starting PostgreSQL with a replica and Redis, and backfilling two weeks")
        receivers = running.enter_context(Receivers())
        primary, standby = running.enter_context(replicated())
        redis = running.enter_context(Redis(folder))
        kubernetes = running.enter_context(Kubernetes())
        proxy = running.enter_context(TcpProxy())
        inputs = Inputs(
            alertmanager_config=_alertmanager_config(folder, receivers),
            postgresql=f"{primary.url}?sslmode=disable",
            postgresql_standby=f"{standby.url}?sslmode=disable",
            redis=redis.url,
            collector_sends_to=proxy.url,
        )
        stack = running.enter_context(
            Stack(folder / "stack", components=_COMPONENTS, inputs=inputs, on_progress=on_progress)
        )
        addresses = stack.up()
        proxy.set_target(port_of(addresses.prometheus))
        _backfill(stack, addresses, folder)
        stack.scrape("kube-state-metrics", kubernetes.state_metrics())
        stack.scrape("kubelet", kubernetes.kubelets())
        stack.scrape("grafana", running.enter_context(grafana()))

        on_progress("starting the services and their traffic")
        telemetry = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": addresses.otlp_http,
            # The default.
            "OTEL_METRIC_EXPORT_INTERVAL": "15000",
            "OTEL_RESOURCE_ATTRIBUTES": f"deployment.environment.name={ENVIRONMENT}",
        }
        began = time.time()
        service = running.enter_context(_service(folder / "service", telemetry, primary, redis))
        instances = Instances(folder, telemetry)
        running.callback(instances.end)
        for _ in range(_INSTANCES):
            instances.start()
        running.enter_context(repeated_calls(_cache_user(redis), _CACHE_RATE))
        started = Environment(stack, addresses, service, primary, proxy, began, calm)
        started.start_traffic()
        running.callback(lambda: started._traffic.stop())
        yield started


def _backfill(stack: Stack, addresses: Addresses, scratch: Path) -> None:
    """Backfill Prometheus' storage."""
    stack.stop("prometheus")
    labels = {"deployment_environment_name": ENVIRONMENT, "service_name": SERVICE}
    host = urlsplit(addresses.optional["node-exporter"]).netloc
    backfill_two_weeks(stack.directory / "prometheus" / "data", labels, host, time.time(), scratch)
    stack.start("prometheus")


def _alertmanager_config(folder: Path, receivers: Receivers) -> Path:
    alertmanager = folder / "alertmanager"
    rendered = rendering.render(receivers.environment(), str(alertmanager / rendering.SECRETS))
    rendering.write(rendered, alertmanager)
    return alertmanager / rendering.CONFIGURATION


def _service(folder: Path, telemetry: Mapping[str, str], database: Cluster, cache: Redis) -> TrustService:
    folder.mkdir()
    settings = {
        **telemetry,
        "OTEL_SERVICE_NAME": SERVICE,
        "TRUST_SERVICE_DATABASE_URL": database.url.replace("postgresql://", "postgresql+asyncpg://"),
    }
    return TrustService(folder, settings, [f"sessions={cache.url}"])


def _cache_user(cache: Redis) -> Callable[[], object]:
    """Reads keys from the cache, of which nine in ten exist."""
    client = redis_client.Redis.from_url(cache.url)
    for number in range(_CACHED):
        client.set(f"session:{number}", "present")
    numbers = itertools.cycle(range(0, _REQUESTED * 7, 7))
    return lambda: client.get(f"session:{next(numbers) % _REQUESTED}")
