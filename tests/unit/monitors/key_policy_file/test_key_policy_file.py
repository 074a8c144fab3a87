"""The file of key policies while the service runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trust_otel.monitors.key_policy_file import KeyPolicyInstrumentor, key_policy_file

CONTENT = "[key.tsa]\nmax_uses_per_hour = 100\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(CONTENT)
    return path


@pytest.fixture
def instrumentor() -> Iterator[KeyPolicyInstrumentor]:
    instrumentor = KeyPolicyInstrumentor()
    yield instrumentor
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


def uses(recording: Any) -> float:
    recording.metrics.record_key_use("tsa")
    value: float = recording.value("trust.key.uses")
    return value


def test_first_event_after_the_start_counts(recording: Any, path: Path, instrumentor: KeyPolicyInstrumentor) -> None:
    instrumentor.instrument(metrics=recording.metrics, path=str(path))
    assert uses(recording) == 1
    ((labels, point),) = recording.series("trust.otel.source.up")
    assert point.value == 1
    assert labels == {"trust.otel.source.kind": "key_policy", "trust.otel.source.name": str(path)}


def test_uninstrument_removes_policies_and_thread(
    recording: Any, path: Path, instrumentor: KeyPolicyInstrumentor
) -> None:
    instrumentor.instrument(metrics=recording.metrics, path=str(path))
    instrumentor.uninstrument()
    assert uses(recording) == 0
    assert recording.series("trust.otel.source.up") == []
    assert "trust-otel-key-policy" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff", b"[key.tsa]\nhours = 8\n", None])
def test_invalid_or_missing_file_keeps_the_policies_and_is_logged_once(
    recording: Any, path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    file = key_policy_file(str(path), recording.recorder)
    file.read_if_changed()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    for _ in range(3):
        file.read_if_changed()
    assert uses(recording) == 1
    assert recording.dropped() == {"unreadable_source": 3}
    (message,) = caplog.messages
    assert f"key_policy {path}: " in message
    path.write_text("[key.tsa]\nmax_uses_per_hour = 1\n")
    file.read_if_changed()
    recording.metrics.record_key_use("tsa")
    recording.metrics.record_key_use("tsa")
    assert recording.value("trust.key.uses", {"trust.key.use": "over_rate"}) == 1
