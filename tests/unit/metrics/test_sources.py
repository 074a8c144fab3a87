"""An unreadable source is exported, counted and logged once."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

_CERTIFICATES = {"trust.otel.source.kind": "certificates", "trust.otel.source.name": "tls"}


def test_read_source_is_up_with_the_current_time_as_last_read(recording: Any) -> None:
    recording.recorder.sources.record_source("tls", kind="certificates")
    assert recording.value("trust.otel.source.up", _CERTIFICATES) == 1
    assert recording.value("trust.otel.source.last_read", _CERTIFICATES) == pytest.approx(time.time(), abs=5)
    assert recording.dropped() == {}


def test_every_failed_read_is_counted_and_logged_once_until_recovery(
    recording: Any, caplog: pytest.LogCaptureFixture
) -> None:
    recording.recorder.sources.record_source("tls", kind="certificates")
    last_read = recording.value("trust.otel.source.last_read", _CERTIFICATES)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            recording.recorder.sources.record_source("tls", kind="certificates", problem="no such file")
        assert recording.value("trust.otel.source.up", _CERTIFICATES) == 0
        assert recording.dropped() == {"unreadable_source": 3}
        assert recording.value("trust.otel.source.last_read", _CERTIFICATES) == last_read
        recording.recorder.sources.record_source("tls", kind="certificates")
    assert recording.value("trust.otel.source.up", _CERTIFICATES) == 1
    assert [(record.levelname, "no such file" in record.message) for record in caplog.records] == [
        ("WARNING", True),
        ("INFO", False),
    ]


def test_different_problem_is_logged_again(recording: Any, caplog: pytest.LogCaptureFixture) -> None:
    for problem in ("no such file", "permission denied"):
        recording.recorder.sources.record_source("tls", kind="certificates", problem=problem)
    assert len(caplog.records) == 2


def test_removed_source_has_no_series(recording: Any) -> None:
    recording.recorder.sources.record_source("tls", kind="certificates")
    recording.recorder.sources.record_source("tls", kind="sla")
    recording.recorder.sources.remove_source("tls", kind="certificates")
    assert [labels["trust.otel.source.kind"] for labels in recording.labels("trust.otel.source.up")] == ["sla"]
    assert len(recording.labels("trust.otel.source.last_read")) == 1
