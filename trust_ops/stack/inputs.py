"""What a stack is given from outside."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Inputs:
    """What components need to know that the stack cannot know by itself, and what they use instead of its own."""

    prometheus_config: Path | None = None
    """Folder with `prometheus.yml` and the rule files that it names; by default the project's own."""
    alertmanager_config: Path | None = None
    """Configuration file of the Alertmanagers. Files that it names are relative to it."""
    postgresql: str | None = None
    """URL of the PostgreSQL server that `postgres-exporter` reads; without TLS it needs `?sslmode=disable`."""
    postgresql_standby: str | None = None
    """The same for `postgres-exporter-standby`: an exporter reads one server."""
    redis: str | None = None
    """URL of the Redis server that `redis-exporter` reads."""
    collector_sends_to: str | None = None
    """Where the Collector sends metrics, as `Addresses.prometheus`; by default straight to Prometheus."""
    collector_queue_size: int | None = None
    """How many data points the Collector's queue holds; by default what collector/local.yaml says."""
