"""SQLite databases in files and in memory, and their recorded metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tests.collected import points
from trust_otel.instrumentation.sqlalchemy import SqlAlchemyInstrumentor
from trust_otel.metrics import TrustServiceMetrics


class Recorded:
    """The metrics now."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader
        self.expected_loss: dict[str, int] = {}

    def points(self, name: str) -> list[Any]:
        return points(self._reader, name)

    def operations(self) -> dict[tuple[str, str | None], int]:
        """Number of statements by operation and error type."""
        return {
            (point.attributes["db.operation.name"], point.attributes.get("error.type")): point.count
            for point in self.points("db.client.operation.duration")
        }

    def databases(self) -> set[tuple[str, str | None]]:
        """System and namespace of the statements."""
        return {
            (point.attributes["db.system.name"], point.attributes.get("db.namespace"))
            for point in self.points("db.client.operation.duration")
        }

    def transactions(self) -> dict[str, int]:
        """Number of transactions by outcome, if above 0."""
        return {
            point.attributes["trust.db.transaction.outcome"]: point.value
            for point in self.points("trust.db.client.transactions")
            if point.value
        }

    def connections(self) -> dict[tuple[str, str], int]:
        """Number of connections by pool and state."""
        return {
            (
                point.attributes["db.client.connection.pool.name"],
                point.attributes["db.client.connection.state"],
            ): point.value
            for point in self.points("db.client.connection.count")
        }

    def by_pool(self, name: str) -> dict[str, int]:
        """Value of a pool metric by pool; of a histogram, the count."""
        return {
            point.attributes["db.client.connection.pool.name"]: point.count if hasattr(point, "count") else point.value
            for point in self.points(f"db.client.connection.{name}")
        }

    def created(self) -> dict[str | None, int]:
        """Number of opened and failed connections by error type."""
        return {
            point.attributes.get("error.type"): point.count for point in self.points("db.client.connection.create_time")
        }

    def lost(self) -> dict[str, int]:
        """Values of `trust.otel.dropped` by reason."""
        return {point.attributes["reason"]: point.value for point in self.points("trust.otel.dropped") if point.value}


@pytest.fixture
def metrics_and_recorded() -> Iterator[tuple[TrustServiceMetrics, Recorded]]:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    yield TrustServiceMetrics(provider), Recorded(reader)
    provider.shutdown()


@pytest.fixture
def metrics(metrics_and_recorded: tuple[TrustServiceMetrics, Recorded]) -> TrustServiceMetrics:
    return metrics_and_recorded[0]


@pytest.fixture
def recorded(metrics_and_recorded: tuple[TrustServiceMetrics, Recorded]) -> Iterator[Recorded]:
    recorded = metrics_and_recorded[1]
    yield recorded
    assert recorded.lost() == recorded.expected_loss


@pytest.fixture
def instrumentor(metrics: TrustServiceMetrics) -> Iterator[SqlAlchemyInstrumentor]:
    instrumentor = SqlAlchemyInstrumentor()
    instrumentor.instrument(metrics=metrics)
    yield instrumentor
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
