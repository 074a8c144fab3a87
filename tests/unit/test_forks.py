"""A forked process releases locks, then restarts what it inherits, in order."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult

from trust_otel import forks, sdk_private
from trust_otel.export.periodic import PeriodicReader
from trust_otel.forks import Step
from trust_otel.security.detectors import Detectors
from trust_otel.security.heavy_hitters import HeavyHitters


def _in_child(check: Callable[[], bool]) -> bool:
    """Whether a check succeeds in a forked process, within 10 seconds."""
    child = os.fork()
    if not child:
        threading.Timer(10, os._exit, (2,)).start()
        os._exit(0 if check() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture(autouse=True)
def _no_other_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "_functions", [])


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock])
def test_lock_that_another_thread_holds_is_released(make: Callable[[], threading.Lock]) -> None:
    lock = forks.released_in_child(make())
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        assert _in_child(lambda: lock.acquire(timeout=5))
        assert not lock.acquire(blocking=False)
    finally:
        done.set()
        thread.join()


def test_threads_start_after_all_state_is_restarted() -> None:
    called: list[str] = []
    forks.in_child(Step.THREADS, lambda: called.append("thread"))
    forks.in_child(Step.STATE, lambda: called.append("state"))
    assert _in_child(lambda: called == ["state", "thread"])
    assert called == []


def test_a_failure_does_not_stop_the_others() -> None:
    called: list[str] = []

    def fail() -> None:
        raise ValueError

    forks.in_child(Step.STATE, fail)
    forks.in_child(Step.STATE, lambda: called.append("next"))
    assert _in_child(lambda: called == ["next"])


def test_an_object_is_not_kept_alive() -> None:
    class Owner:
        def restart(self) -> None:
            os._exit(3)

    owner = Owner()
    forks.in_child(Step.STATE, owner.restart)
    assert not _in_child(lambda: True)
    del owner
    gc.collect()
    assert _in_child(lambda: True)


def test_failures_before_a_fork_are_exported_by_the_parent_only() -> None:
    hitters = HeavyHitters(threshold=1, capacity=10)
    hitters.add("192.0.2.1")
    assert _in_child(lambda: list(hitters.rows()) == [])
    assert len(list(hitters.rows())) == 1


def test_an_attack_before_a_fork_is_reported_by_the_parent_only() -> None:
    incidents: list[str] = []
    detectors = Detectors(["credential_stuffing"], lambda name, _: incidents.append(name))
    number = 0

    def attack(accounts: int) -> None:
        nonlocal number
        for _ in range(accounts):
            number += 1
            detectors.authentication(success=False, address="192.0.2.1", account=f"a{number}", country=None)

    while not incidents:
        attack(1)
    # About as many as are reported: the detectors estimate the number of accounts.
    accounts = number
    incidents.clear()
    detectors = Detectors(["credential_stuffing"], lambda name, _: incidents.append(name))
    attack(accounts // 2)

    def child() -> bool:
        attack(accounts * 2 // 3)
        return incidents == []

    assert _in_child(child)
    attack(accounts)
    assert incidents


class _Exporter(MetricExporter):
    """Exports hang in the process that created it, as with a Collector that does not respond."""

    def __init__(self) -> None:
        super().__init__()
        self.process = os.getpid()
        self.exporting, self.ended = threading.Event(), threading.Event()

    def export(self, *arguments: Any, **keywords: Any) -> MetricExportResult:
        if os.getpid() == self.process:
            self.exporting.set()
            self.ended.wait()
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **keywords: Any) -> None:
        """Do nothing."""


def test_process_exports_that_was_forked_during_an_export(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = _Exporter()
    provider = MeterProvider([PeriodicReader(exporter, export_interval_millis=inf)], shutdown_on_exit=False)
    provider.get_meter("test").create_counter("counted").add(1)
    monkeypatch.setattr(sdk_private, "installed_providers", lambda: {"metrics": provider})
    forks.in_child(Step.STATE, sdk_private._restart_in_child)
    thread = threading.Thread(target=provider.force_flush)
    thread.start()
    exporter.exporting.wait()
    try:
        assert _in_child(lambda: provider.force_flush())
    finally:
        exporter.ended.set()
        thread.join()
        provider.shutdown()
