"""Reads recorded gRPC metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tests.collected import points
from trust_otel.instrumentation.grpc import GrpcInstrumentor
from trust_otel.metrics import TrustServiceMetrics


class Recorded:
    """The metrics now."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader

    def _points(self, name: str) -> list[Any]:
        return points(self._reader, name)

    def calls(self, side: str) -> dict[tuple[Any, ...], int]:
        """Number of finished calls by method, type, status and error type."""
        return {
            (
                point.attributes["rpc.method"],
                point.attributes["trust.rpc.type"],
                point.attributes["rpc.response.status_code"],
                point.attributes.get("error.type"),
            ): point.count
            for point in self._points(f"rpc.{side}.call.duration")
        }

    def longest(self, side: str) -> float:
        """Duration of the longest call in seconds."""
        return max(point.max for point in self._points(f"rpc.{side}.call.duration"))

    def active(self, side: str) -> int:
        """Number of active calls."""
        return sum(point.value for point in self._points(f"trust.rpc.{side}.active_calls"))

    def messages(self, side: str) -> dict[str, int]:
        """Number of messages by direction."""
        counts: dict[str, int] = {}
        for point in self._points(f"trust.rpc.{side}.messages"):
            direction = point.attributes["trust.rpc.message.direction"]
            counts[direction] = counts.get(direction, 0) + point.value
        return counts

    def lost(self) -> int:
        """Value of `trust.otel.dropped`."""
        return sum(point.value for point in self._points("trust.otel.dropped"))


@pytest.fixture
def metrics_and_recorded() -> Iterator[tuple[TrustServiceMetrics, Recorded]]:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    recorded = Recorded(reader)
    yield TrustServiceMetrics(provider), recorded
    assert recorded.lost() == 0
    provider.shutdown()


@pytest.fixture
def metrics(metrics_and_recorded: tuple[TrustServiceMetrics, Recorded]) -> TrustServiceMetrics:
    return metrics_and_recorded[0]


@pytest.fixture
def recorded(metrics_and_recorded: tuple[TrustServiceMetrics, Recorded]) -> Recorded:
    return metrics_and_recorded[1]


@pytest.fixture
def instrumentor(metrics: TrustServiceMetrics) -> Iterator[GrpcInstrumentor]:
    instrumentor = GrpcInstrumentor()
    instrumentor.instrument(metrics=metrics)
    yield instrumentor
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


@pytest.fixture
def settled(recorded: Recorded) -> Callable[..., None]:
    """Waits until no call is active and the expected number has ended: gRPC ends calls in its own threads."""

    def wait(server: int | None = None, client: int | None = None) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            ended = {side: sum(recorded.calls(side).values()) for side in ("server", "client")}
            active = {side: recorded.active(side) for side in ("server", "client")}
            if (server in (None, ended["server"])) and (client in (None, ended["client"])) and not any(active.values()):
                return
            time.sleep(0.01)
        raise AssertionError(f"ended {ended}, active {active}, calls {recorded.calls('server')}")

    return wait
