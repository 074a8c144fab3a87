"""What a reader has collected."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from trust_otel.export.prometheus.exposition import TEXT
from trust_otel.export.prometheus.renderer import Renderer


def points(reader: InMemoryMetricReader, name: str) -> list[Any]:
    """The data points of a metric now; none when nothing was recorded."""
    data = reader.get_metrics_data()
    if data is None:
        return []
    return [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
    ]


def scraped(recording: Any) -> str:
    """The text that the endpoint would show of a recording."""

    def failed(metric: str, error: Exception) -> None:
        raise AssertionError(metric) from error

    return Renderer(TEXT, failed).render([], recording.collect()).decode()
