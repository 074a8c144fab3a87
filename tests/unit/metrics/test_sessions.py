"""Open user sessions: counted by the service, or read from its session store."""

from __future__ import annotations

import asyncio
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest

from tests.collected import scraped
from trust_otel.export import shutdown
from trust_otel.export.snapshots import Snapshot, snapshot_of
from trust_otel.metrics import TrustServiceMetrics

ACTIVE, STORED = "trust.session.active", "trust.session.stored"


def test_service_without_sessions_has_no_series(recording: Any) -> None:
    recording.metrics.record_audit_event("login")
    assert "trust_session" not in scraped(recording).replace("trust.session", "")
    assert {ACTIVE, STORED} & recording.names() == set()


def test_started_and_ended_sessions_are_counted(recording: Any) -> None:
    for _ in range(3):
        recording.metrics.session_started()
    recording.metrics.session_ended()
    assert recording.value(ACTIVE) == 2
    assert STORED not in recording.names()


def test_threads_that_count_the_first_sessions_lose_none(recording: Any) -> None:
    start = threading.Barrier(8)

    def count() -> None:
        start.wait()
        for _ in range(100):
            recording.metrics.session_started()

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recording.value(ACTIVE) == 800


def test_number_in_the_store_is_read_at_each_collection(recording: Any) -> None:
    sessions = {"a", "b"}
    recording.metrics.observe_sessions(lambda: len(sessions))
    assert recording.value(STORED) == 2
    sessions.clear()
    assert [point.value for _, point in recording.series(STORED)] == [0]
    assert ACTIVE not in recording.names()


@pytest.mark.parametrize("number", [0, 7, 2.0, Fraction(4, 2), 2**40])
def test_any_real_number_of_sessions_is_exported(recording: Any, number: Any) -> None:
    recording.metrics.observe_sessions(lambda: number)
    assert [point.value for _, point in recording.series(STORED)] == [number]
    assert recording.dropped() == {}


def test_another_function_replaces_the_first(recording: Any) -> None:
    recording.metrics.observe_sessions(lambda: 1)
    recording.metrics.observe_sessions(lambda: 5)
    assert [point.value for _, point in recording.series(STORED)] == [5]


def test_two_objects_of_a_process_do_not_add_up(recording: Any) -> None:
    for metrics in (recording.metrics, TrustServiceMetrics(recording.provider)):
        metrics.observe_sessions(lambda: 5)
    assert [point.value for _, point in recording.series(STORED)] == [5]


def _raise(error: BaseException) -> Callable[[], int]:
    def count() -> int:
        raise error

    return count


@pytest.mark.parametrize(
    "error", [ConnectionError("redis://user:secret@host"), KeyError(), asyncio.CancelledError(), SystemExit(3)]
)
def test_error_of_the_function_is_counted_and_logged_once(
    recording: Any, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    recording.metrics.observe_sessions(_raise(error))
    assert recording.series(STORED) == []
    assert recording.series(STORED) == []
    assert recording.dropped() == {"internal_error": 2}
    (message,) = caplog.messages
    assert "observe_sessions failed: " in message
    assert type(error).__name__ in message
    assert "secret" not in message
    recording.metrics.observe_sessions(lambda: 4)
    assert recording.value(STORED) == 4


async def _coroutine() -> int:
    return 1


@pytest.mark.parametrize("result", [-1, "3", None, float("nan"), float("inf"), True, [1]])
def test_wrong_result_is_counted_and_logged_once(
    recording: Any, caplog: pytest.LogCaptureFixture, result: object
) -> None:
    recording.metrics.observe_sessions(lambda: result)
    assert recording.series(STORED) == []
    assert recording.series(STORED) == []
    assert recording.dropped() == {"invalid_value": 2}
    (message,) = caplog.messages
    assert "observe_sessions takes a function that returns the number of open sessions, 0 or more" in message


@pytest.mark.parametrize("given", [_coroutine, None, 3, "sessions"])
def test_anything_but_a_plain_function_is_refused(recording: Any, caplog: pytest.LogCaptureFixture, given: Any) -> None:
    recording.metrics.observe_sessions(given)
    assert recording.series(STORED) == []
    assert recording.dropped() == {"invalid_value": 1}
    assert "observe_sessions takes a function" in caplog.text


def test_coroutine_is_refused_without_a_warning_of_python(recording: Any, caplog: pytest.LogCaptureFixture) -> None:
    recording.metrics.observe_sessions(lambda: _coroutine())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert recording.series(STORED) == []
    assert "it returned coroutine" in caplog.text


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    released = threading.Event()
    yield released
    released.set()


def test_store_that_hangs_delays_no_other_metric(
    recording: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, hanging: threading.Event
) -> None:
    monkeypatch.setattr("trust_otel.metrics.store_reader._READ_SECONDS", 0.01)
    calls = []

    def count() -> int:
        calls.append(1)
        hanging.wait(30)
        return 3

    recording.metrics.observe_sessions(count)
    recording.metrics.record_audit_event("login")
    for _ in range(3):
        assert "trust.audit.events" in recording.names()
        assert recording.series(STORED) == []
    assert len(calls) == 1
    assert recording.dropped()["internal_error"] >= 6
    (message,) = caplog.messages
    assert "set a timeout" in message
    hanging.set()
    for thread in threading.enumerate():
        if thread.name == "trust-otel-store":
            thread.join()
    monkeypatch.setattr("trust_otel.metrics.store_reader._READ_SECONDS", 30)
    assert recording.value(STORED) == 3


def test_two_readers_do_not_disturb_each_other(recording: Any, caplog: pytest.LogCaptureFixture) -> None:
    def count() -> int:
        time.sleep(0.01)
        return 3

    recording.metrics.observe_sessions(count)
    observe = recording.recorder.sessions._observe_stored
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.extend(observe())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(3, {})] * 4
    assert caplog.messages == []


def test_store_is_not_read_during_shutdown(recording: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recording.metrics.observe_sessions(_raise(AssertionError()))
    started = threading.Event()
    started.set()
    monkeypatch.setattr(shutdown, "started", started)
    assert recording.series(STORED) == []
    assert recording.dropped() == {}


@pytest.mark.parametrize("calls", [("observe", "start"), ("start", "observe"), ("end", "observe", "start", "observe")])
def test_mixed_use_is_logged_once(recording: Any, caplog: pytest.LogCaptureFixture, calls: tuple[str, ...]) -> None:
    act = {
        "observe": lambda: recording.metrics.observe_sessions(lambda: 5),
        "start": recording.metrics.session_started,
        "end": recording.metrics.session_ended,
    }
    for call in calls:
        act[call]()
    (message,) = caplog.messages
    assert "dashboards show the number of observe_sessions" in message
    assert recording.value(STORED) == 5


def test_rule_of_each_metric_over_several_processes(record: Callable[..., Any]) -> None:
    """A session that started in one process and ended in another, and a store that both report."""
    one, other = record(), record()
    one.metrics.session_started()
    other.metrics.session_ended()
    for each in (one, other):
        each.metrics.observe_sessions(lambda: 7)
    merged: Snapshot = snapshot_of(one.collect())
    merged.add(snapshot_of(other.collect()))
    found = {family.name: [point.value for point in points.values()] for family, points in merged.series.items()}  # type: ignore[union-attr]  # numbers
    assert (found[ACTIVE], found[STORED]) == ([0], [7])
