"""One line is logged when exports begin to fail, and one when they work again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from tests.support.otlp_endpoint import Response, endpoint
from trust_otel.export import shutdown
from trust_otel.export.export_state import QUICK_CHANGES, STEADY_SECONDS, ExportState, QueueFullFilter
from trust_otel.export.otlp import reconnect, with_checked_responses


class Clock:
    """Seconds that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> ExportState:
    return ExportState("metrics", lambda: False, clock)


def test_only_changes_are_logged(state: ExportState, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    state.accepted()
    for problem in ("refused", "refused", "no response"):
        state.failed(problem)
    clock.now += 90
    state.accepted()
    state.accepted()
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.WARNING]
    assert caplog.messages == [
        "trust-otel: metrics cannot be exported: refused. Another line follows when exports work again",
        "trust-otel: metrics are exported again, after 90 seconds",
    ]


def test_every_change_is_logged_if_there_are_few(
    state: ExportState, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(QUICK_CHANGES - 1):
        state.failed("refused")
        clock.now += 1
        state.accepted()
    assert len(caplog.records) == 2 * (QUICK_CHANGES - 1)


def test_changes_at_every_export_do_not_flood_the_log(
    state: ExportState, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(1000):
        state.failed("refused")
        state.accepted()
        clock.now += 0.1
    assert len(caplog.records) == 2 * QUICK_CHANGES - 1
    clock.now += STEADY_SECONDS
    state.accepted()
    assert caplog.messages[-1].startswith("trust-otel: metrics are exported again")


def test_forked_process_does_not_report_the_failure_of_its_parent(
    state: ExportState, caplog: pytest.LogCaptureFixture
) -> None:
    state.failed("refused")
    caplog.clear()
    reconnect(state)
    state.accepted()
    assert caplog.messages == []
    state.failed("refused")
    assert len(caplog.messages) == 1


def _full(queue: QueueFullFilter, kind: str = "Span") -> bool:
    record = logging.LogRecord("l", logging.WARNING, "", 0, "Queue full, dropping %s.", (kind,), None)
    return queue.filter(record)


def test_full_queue_is_logged_once_while_exports_work(clock: Clock) -> None:
    queue = QueueFullFilter(clock)
    assert [_full(queue), _full(queue), _full(queue, "Log")] == [True, False, True]
    clock.now += STEADY_SECONDS
    assert _full(queue)


def test_full_queue_is_not_logged_while_exports_fail(clock: Clock) -> None:
    state, queue = ExportState("spans", lambda: False, clock), QueueFullFilter(clock)
    state.failed("refused")
    assert [_full(queue), _full(queue, "Log")] == [False, True]
    state.accepted()
    assert _full(queue)


@pytest.mark.parametrize("message", ["Exception while exporting %s.", "Shutdown called, ignoring %s."])
def test_other_messages_of_a_queue_are_kept(message: str, clock: Clock) -> None:
    record = logging.LogRecord("l", logging.WARNING, "", 0, message, ("Span",), None)
    queue = QueueFullFilter(clock)
    assert all(queue.filter(record) for _ in range(2))


@pytest.fixture
def end(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Runs the last export, which an endpoint answers with a status."""
    monkeypatch.setattr(shutdown, "started", threading.Event())

    def run(status: int) -> None:
        with endpoint(Response(status)) as server:
            exporter = with_checked_responses(OTLPMetricExporter(f"{server.url}/v1/metrics"))
            provider = MeterProvider([PeriodicExportingMetricReader(exporter)])
            provider.get_meter("test").create_counter("c").add(1)
            shutdown.Shutdown({"metrics": provider}, 60)()

    return run


@pytest.mark.parametrize("status", [400, 503])
def test_failed_last_export_is_reported_once_with_its_reason(
    status: int, end: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    end(status)
    (line,) = caplog.messages
    assert line.startswith("trust-otel: the last export of metrics failed, and what was recorded since the one before")
    assert f"the endpoint answers {status}" in line


def test_accepted_last_export_is_not_reported(end: Callable[[int], None], caplog: pytest.LogCaptureFixture) -> None:
    end(200)
    assert caplog.messages == []
