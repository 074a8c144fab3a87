"""Background checks: recorded results, independence of each other, and shutdown."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Recording
from tests.unit.monitors.dependencies.conftest import Serve, checked, hang, say
from tests.unit.monitors.waiting import eventually
from trust_otel.monitors.dependencies import DependencyInstrumentor, checks, monitor

ANSWER = say(b"HTTP/1.1 200 OK\r\n\r\n")

UP = "trust.dependency.up"
DURATION = "trust.dependency.check.duration"

Start = Callable[..., None]


@pytest.fixture
def start_checks(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts to check dependencies, without delay and with a short interval."""
    instrumentor = DependencyInstrumentor()
    monkeypatch.setattr(monitor, "_INITIAL_DELAY_SECONDS", 0.0)

    def start(entries: str, timeout: float = 5, interval: float = 0.02) -> None:
        monkeypatch.setenv("TRUST_OTEL_DEPENDENCIES", entries)
        monkeypatch.setenv("TRUST_OTEL_DEPENDENCY_TIMEOUT", str(timeout))
        monkeypatch.setenv("TRUST_OTEL_DEPENDENCY_INTERVAL", str(interval))
        instrumentor.instrument(metrics=recording.metrics)

    yield start
    instrumentor.uninstrument()


def up(recording: Recording) -> dict[str, float]:
    return {labels["trust.dependency.name"]: point.value for labels, point in recording.series(UP)}


def test_dependency_goes_down_and_up_again(
    serve: Serve, start_checks: Start, recording: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trust_otel")
    server = serve(ANSWER)
    start_checks(f"ca:pki=http://user:secret@127.0.0.1:{server.port}/")
    eventually(lambda: up(recording) == {"ca": 1})
    assert recording.labels(UP) == [{"trust.dependency.name": "ca", "trust.dependency.type": "pki"}]
    server.close()
    eventually(lambda: up(recording) == {"ca": 0})
    assert recording.value(DURATION, {"error.type": "connection_refused"}) > 0
    serve(ANSWER, port=server.port)
    eventually(lambda: up(recording) == {"ca": 1})
    assert recording.value(DURATION) > recording.value(DURATION, {"error.type": "connection_refused"})
    assert [record.getMessage() for record in caplog.records] == [
        "trust-otel: dependency ca is down: connection_refused",
        "trust-otel: dependency ca is up again",
    ]
    assert recording.dropped() == {}


def test_hanging_dependency_does_not_block_others(serve: Serve, start_checks: Start, recording: Recording) -> None:
    hanging, answering = serve(hang), serve(ANSWER)
    start_checks(f"bad=http://127.0.0.1:{hanging.port}/,good=http://127.0.0.1:{answering.port}/", timeout=30)
    eventually(lambda: answering.connections > 20)
    assert hanging.connections == 1
    assert up(recording) == {"good": 1}


def test_hanging_checks_are_recorded_as_timeouts(serve: Serve, start_checks: Start, recording: Recording) -> None:
    start_checks(f"bad=http://127.0.0.1:{serve(hang).port}/", timeout=0.1)
    eventually(lambda: recording.value(DURATION, {"error.type": "timeout"}) >= 3)
    assert up(recording) == {"bad": 0}
    ((_, durations),) = recording.series(DURATION)
    assert durations.min >= 0.1
    assert durations.max < 1


@pytest.mark.parametrize("scheme", ["http", "https", "postgresql", "redis", "rediss", "grpc", "grpcs"])
def test_uninstrument_cancels_checks_and_removes_series(
    serve: Serve, start_checks: Start, recording: Recording, scheme: str
) -> None:
    hanging, answering = serve(hang), serve(ANSWER)
    start_checks(f"bad={scheme}://127.0.0.1:{hanging.port},good=http://127.0.0.1:{answering.port}", timeout=60)
    assert hanging.connected.wait(10)
    eventually(lambda: up(recording) == {"good": 1})
    began = time.monotonic()
    DependencyInstrumentor().uninstrument()
    assert time.monotonic() - began < 1
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("trust-otel")]
    assert up(recording) == {}
    assert recording.value(DURATION, {"trust.dependency.name": "bad"}) == 0


def test_thread_names_contain_no_address(serve: Serve, start_checks: Start) -> None:
    server = serve(hang)
    start_checks(f"ca=http://user:secret@127.0.0.1:{server.port}/")
    assert server.connected.wait(10)
    assert "trust-otel dependency ca" in {thread.name for thread in threading.enumerate()}


def test_missing_client_library_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "trust_otel.monitors.dependencies.http", raising=False)
    monkeypatch.setitem(sys.modules, "httpcore", None)
    checks._probe.cache_clear()
    try:
        results = [checked("ca=http://user:secret@127.0.0.1/") for _ in range(3)]
    finally:
        checks._probe.cache_clear()
    assert {(result.up, result.error_type) for result in results} == {(False, "client_missing")}
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "pip install 'trust-otel[dependencies]'" in record.getMessage()
    assert "secret" not in record.getMessage()
