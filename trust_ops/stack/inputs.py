"""Inputs of a stack."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Inputs:
    """Settings of the components that the caller provides or overrides."""

    prometheus_config: Path | None = None
    """Directory with `prometheus.yml` and its rule files; by default the project's own."""
    alertmanager_config: Path | None = None
    """Configuration file of the Alertmanagers. Paths in it are relative to it."""
    postgresql: str | None = None
    """URL of the PostgreSQL server that `postgres-exporter` reads; without TLS it needs `?sslmode=disable`."""
    postgresql_standby: str | None = None
    """The same for `postgres-exporter-standby`: each exporter reads one server."""
    redis: str | None = None
    """URL of the Redis server that `redis-exporter` reads."""
    collector_sends_to: str | None = None
    """Where the Collector sends metrics, as `Addresses.prometheus`; by default directly to Prometheus."""
    collector_queue_size: int | None = None
    """How many data points the Collector's queue holds; by default as in collector/local.yaml."""
