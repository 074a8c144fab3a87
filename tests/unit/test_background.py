"""Periodic tasks: repetition, errors, stopping and forked child processes."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator

import pytest

from trust_otel.background import Periodic

_NAME = "trust-otel-test"


@pytest.fixture(autouse=True)
def _no_thread_leaks() -> Iterator[None]:
    yield
    assert [thread for thread in threading.enumerate() if thread.name == _NAME] == []


class Runs:
    """A task that counts its runs and can be waited for."""

    def __init__(self) -> None:
        self.number = 0
        self._changed = threading.Condition()

    def __call__(self) -> None:
        with self._changed:
            self.number += 1
            self._changed.notify_all()

    def wait(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.number >= number, timeout=10)


def test_runs_immediately_and_repeats_until_stopped() -> None:
    runs = Runs()
    periodic = Periodic(_NAME, 0.01, runs)
    periodic.start()
    runs.wait(3)
    periodic.stop()
    ended_at = runs.number
    periodic.stop()
    assert runs.number == ended_at


def test_second_start_has_no_effect() -> None:
    runs = Runs()
    periodic = Periodic(_NAME, 60, runs)
    periodic.start()
    periodic.start()
    runs.wait(1)
    assert len([thread for thread in threading.enumerate() if thread.name == _NAME]) == 1
    periodic.stop()


def test_runs_do_not_overlap() -> None:
    max_active, active, lock = 0, 0, threading.Lock()
    runs = Runs()

    def slow() -> None:
        nonlocal max_active, active
        with lock:
            active += 1
            max_active = max(max_active, active)
        threading.Event().wait(0.03)
        with lock:
            active -= 1
        runs()

    periodic = Periodic(_NAME, 0.001, slow)
    periodic.start()
    runs.wait(3)
    periodic.stop()
    assert max_active == 1


def test_failing_task_is_retried_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    runs = Runs()

    def fail() -> None:
        runs()
        raise RuntimeError("failed")

    periodic = Periodic(_NAME, 0.001, fail)
    with caplog.at_level(logging.ERROR):
        periodic.start()
        runs.wait(5)
        periodic.stop()
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_stop_does_not_wait_for_the_next_run() -> None:
    runs = Runs()
    periodic = Periodic(_NAME, 3600, runs)
    periodic.start()
    runs.wait(1)
    periodic.stop(seconds=5)


def test_task_can_stop_itself() -> None:
    done = threading.Event()

    def stop_from_task() -> None:
        periodic.stop()
        done.set()

    periodic = Periodic(_NAME, 0.001, stop_from_task)
    periodic.start()
    assert done.wait(10)
    while any(thread.name == _NAME for thread in threading.enumerate()):
        pass


def test_task_runs_in_a_forked_child_process() -> None:
    runs = Runs()
    periodic = Periodic(_NAME, 0.01, runs)
    periodic.start()
    runs.wait(1)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            before = runs.number
            runs.wait(before + 2)
            os.write(write_end, b"runs")
            status = 0
        finally:
            os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as output:
        assert output.read() == b"runs"
    assert os.waitpid(child, 0)[1] == 0
    periodic.stop()


def test_stopped_task_does_not_run_in_a_forked_child_process() -> None:
    runs = Runs()
    periodic = Periodic(_NAME, 0.01, runs)
    periodic.start()
    runs.wait(1)
    periodic.stop()
    child = os.fork()
    if child == 0:
        os._exit(len([thread for thread in threading.enumerate() if thread.name == _NAME]))
    assert os.waitpid(child, 0)[1] == 0
