"""The file of business metrics while the service runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trust_otel.monitors.business_metrics_file import BusinessMetricsInstrumentor, business_metrics_file

CONTENT = '[kpi.visits]\nkind = "counter"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "kpis.toml"
    path.write_text(CONTENT)
    return path


@pytest.fixture
def instrumentor() -> Iterator[BusinessMetricsInstrumentor]:
    instrumentor = BusinessMetricsInstrumentor()
    yield instrumentor
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


def visits(recording: Any) -> float:
    recording.metrics.record_business_metric("visits", 1)
    value: float = recording.value("trust.kpi.amount")
    return value


def test_first_event_after_the_start_counts(
    recording: Any, path: Path, instrumentor: BusinessMetricsInstrumentor
) -> None:
    instrumentor.instrument(metrics=recording.metrics, path=str(path))
    assert visits(recording) == 1
    ((labels, point),) = recording.series("trust.otel.source.up")
    assert point.value == 1
    assert labels == {"trust.otel.source.kind": "business_metrics", "trust.otel.source.name": str(path)}


def test_uninstrument_removes_kpis_and_thread(
    recording: Any, path: Path, instrumentor: BusinessMetricsInstrumentor
) -> None:
    instrumentor.instrument(metrics=recording.metrics, path=str(path))
    instrumentor.uninstrument()
    assert visits(recording) == 0
    assert recording.series("trust.otel.source.up") == []
    assert "trust-otel-business-metrics" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff", b"[kpi.visits]\nkind = 'sum'\n", None])
def test_invalid_or_missing_file_keeps_the_kpis_and_is_logged_once(
    recording: Any, path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    file = business_metrics_file(str(path), recording.recorder)
    file.read_if_changed()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    for _ in range(3):
        file.read_if_changed()
    assert visits(recording) == 1
    assert recording.dropped() == {"unreadable_source": 3}
    (message,) = caplog.messages
    assert f"business_metrics {path}: " in message
    path.write_text(f"{CONTENT}[kpi.orders]\nkind = 'gauge'\n")
    file.read_if_changed()
    recording.metrics.record_business_metric("orders", 3)
    assert recording.value("trust.kpi.value") == 3
