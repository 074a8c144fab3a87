"""The SLA file while the service runs."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trust_otel.monitors.sla_file import SlaInstrumentor, sla_file

CONTENT = """
[sla.fast]
metric = "trust.document.processing.duration"
threshold = 60
objective = 0.99
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "sla.toml"
    path.write_text(CONTENT)
    return path


@pytest.fixture
def instrument(recording: Any, path: Path) -> Iterator[Callable[[], None]]:
    instrumentor = SlaInstrumentor()
    yield lambda: instrumentor.instrument(metrics=recording.metrics, path=str(path))
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


def process(recording: Any) -> None:
    with recording.metrics.document_processing("passport"):
        pass


def source_up(recording: Any) -> list[float]:
    return [point.value for _, point in recording.series("trust.otel.source.up")]


def test_first_event_after_the_start_is_evaluated(recording: Any, instrument: Callable[[], None], path: Path) -> None:
    instrument()
    process(recording)
    labels = {"trust.sla.name": "fast", "trust.outcome": "success"}
    assert recording.value("trust.sla.events", labels) == 1
    assert source_up(recording) == [1]
    assert recording.labels("trust.otel.source.up") == [
        {"trust.otel.source.kind": "sla", "trust.otel.source.name": str(path)}
    ]


def test_uninstrument_removes_series_and_thread(recording: Any, path: Path) -> None:
    instrumentor = SlaInstrumentor()
    instrumentor.instrument(metrics=recording.metrics, path=str(path))
    instrumentor.uninstrument()
    process(recording)
    assert recording.value("trust.sla.events") == 0
    assert recording.series("trust.sla.objective") == []
    assert recording.series("trust.otel.source.up") == []
    assert "trust-otel-sla" not in {thread.name for thread in threading.enumerate()}


def test_changed_file_is_read_again_and_an_unchanged_one_is_not(recording: Any, path: Path) -> None:
    file = sla_file(str(path), recording.recorder)
    file.read_if_changed()
    recording.recorder.business.set_slas(())
    file.read_if_changed()
    assert recording.series("trust.sla.objective") == []
    path.write_text(CONTENT.replace("0.99", "0.5000"))
    file.read_if_changed()
    assert recording.value("trust.sla.objective") == 0.5


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff", CONTENT.replace("60", "-60").encode()])
def test_invalid_file_keeps_the_slas_and_is_logged_once(
    recording: Any, path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    file = sla_file(str(path), recording.recorder)
    file.read_if_changed()
    path.write_bytes(content)
    for _ in range(3):
        file.read_if_changed()
    process(recording)
    assert recording.value("trust.sla.events", {"trust.outcome": "success"}) == 1
    assert recording.value("trust.sla.objective") == 0.99
    assert source_up(recording) == [0]
    assert recording.dropped() == {"unreadable_source": 3}
    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert str(path) in warning
    path.write_text(CONTENT)
    file.read_if_changed()
    assert source_up(recording) == [1]


def test_file_created_later_is_read(recording: Any, path: Path) -> None:
    path.unlink()
    file = sla_file(str(path), recording.recorder)
    file.read_if_changed()
    assert source_up(recording) == [0]
    path.write_text(CONTENT)
    file.read_if_changed()
    assert source_up(recording) == [1]
    assert recording.value("trust.sla.objective") == 0.99


def test_removed_file_keeps_its_slas(recording: Any, path: Path) -> None:
    file = sla_file(str(path), recording.recorder)
    file.read_if_changed()
    path.unlink()
    file.read_if_changed()
    assert source_up(recording) == [0]
    assert recording.value("trust.sla.objective") == 0.99


def test_replaced_config_map_is_read_again(recording: Any, tmp_path: Path) -> None:
    """As Kubernetes replaces a ConfigMap: by another target of a symbolic link."""
    for version, objective in (("1", "0.99"), ("2", "0.95")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "sla.toml").write_text(CONTENT.replace("0.99", objective))
    link = tmp_path / "data"
    link.symlink_to("1")
    file = sla_file(str(link / "sla.toml"), recording.recorder)
    file.read_if_changed()
    (tmp_path / "new").symlink_to("2")
    os.replace(tmp_path / "new", link)
    file.read_if_changed()
    assert recording.value("trust.sla.objective") == 0.95


def test_service_starts_with_an_invalid_file(
    recording: Any, instrument: Callable[[], None], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("[sla.fast]\nmetric = 'x'\n")
    instrument()
    process(recording)
    assert recording.value("trust.sla.events") == 0
    assert "SLA 'fast'" in caplog.text


@pytest.mark.parametrize("body_sizes", [True, False])
@pytest.mark.parametrize("metric", ["http.server.request.body.size", "http.server.response.body.size"])
def test_size_of_bodies_needs_its_setting(
    record: Any, path: Path, caplog: pytest.LogCaptureFixture, metric: str, body_sizes: bool
) -> None:
    recording = record(http_body_sizes=body_sizes)
    path.write_text(CONTENT.replace("trust.document.processing.duration", metric))
    sla_file(str(path), recording.recorder).read_if_changed()
    assert source_up(recording) == [int(body_sizes)]
    problem = f"SLA 'fast': {metric} is recorded only with TRUST_OTEL_HTTP_BODY_SIZES=true; set it"
    assert (problem in caplog.text) is not body_sizes
