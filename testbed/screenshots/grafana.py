"""The metrics of a Grafana with some users, for machines without Grafana.

Source of names and labels: the metrics of Grafana 11.6 at /metrics.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from testbed.drill.service_client import repeated_calls
from trust_ops.stack import Target
from trust_ops.stack.ports import LOOPBACK

_ACTIVE, _USERS, _DASHBOARDS = 7, 24, 4
_VIEWS_PER_SECOND = 0.4
_QUERIES_PER_VIEW = 30
_MEAN_QUERY_SECONDS = 0.02
_FAILING = 0.01


@contextmanager
def grafana() -> Iterator[list[Target]]:
    """Serves the metrics while the block is open; yields the targets for `Stack.scrape("grafana", ...)`."""
    registry = CollectorRegistry()
    for name, value in (
        ("grafana_stat_active_users", _ACTIVE),
        ("grafana_stat_total_users", _USERS),
        ("grafana_stat_totals_dashboard", _DASHBOARDS),
    ):
        Gauge(name, "Grafana's statistics.", registry=registry).set(value)
    with ExitStack() as running:
        server, thread = start_http_server(0, LOOPBACK, registry)
        running.callback(thread.join)
        running.callback(server.shutdown)
        running.enter_context(repeated_calls(_Users(registry).view_dashboard, _VIEWS_PER_SECOND))
        yield [Target(f"{LOOPBACK}:{server.server_port}")]


class _Users:
    """Users who open dashboards, whose panels send queries."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rng = Random(1)  # noqa: S311 - no secret
        self._views = Histogram(
            "grafana_http_request_duration_seconds",
            "requests to Grafana",
            ("handler", "method", "slo_group", "status_code", "status_source"),
            registry=registry,
        ).labels("/api/dashboards/uid/:uid", "GET", "high-fast", "200", "server")
        labels = ("datasource", "datasource_type", "code", "method", "secure_socks_ds_proxy_enabled")
        values = {code: ("Prometheus", "prometheus", code, "post", "false") for code in ("200", "422")}
        requests = Counter("grafana_datasource_request", "requests to data sources", labels, registry=registry)
        durations = Histogram(
            "grafana_datasource_request_duration_seconds", "their durations", labels, registry=registry
        )
        self._queries = {code: (requests.labels(*each), durations.labels(*each)) for code, each in values.items()}

    def view_dashboard(self) -> None:
        self._views.observe(self._seconds())
        for _ in range(_QUERIES_PER_VIEW):
            count, duration = self._queries["422" if self._rng.random() < _FAILING else "200"]
            count.inc()
            duration.observe(self._seconds())

    def _seconds(self) -> float:
        return self._rng.expovariate(1 / _MEAN_QUERY_SECONDS)
