"""One metrics endpoint serves for all processes of a service."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.process_models import application
from benchmarks.process_models.models import MODELS, Model, Victim
from benchmarks.process_models.running import Processes, started
from tests.support.running import eventually

_NOWHERE = "http://127.0.0.1:9"
_WORKERS = next(model for model in MODELS if str(model) == "uvicorn --workers, SIGKILL of a worker")
_FORKING = next(model for model in MODELS if str(model) == "multiprocessing fork")


@pytest.fixture
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Processes]:
    model: Model = request.param
    (tmp_path / "application.py").write_text(Path(application.__file__).read_text())
    (tmp_path / "program.py").write_text(model.program)
    with started(model, tmp_path, _NOWHERE) as processes:
        yield processes


def _samples(processes: Processes, name: str) -> dict[str, list[float]]:
    """The values of a metric, by process."""
    answer = processes.get(processes.endpoint, "/metrics")
    assert answer is not None
    found: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(answer.decode()):
        for sample in family.samples:
            if sample.name == name:
                found.setdefault(sample.labels["service_instance_id"], []).append(sample.value)
    return found


@pytest.mark.parametrize("served", [_WORKERS], indirect=True)
def test_sum_is_exact_when_workers_are_killed_under_load(served: Processes) -> None:
    answered, failed = served.send_requests(), 0
    lock, sums = threading.Lock(), []

    def load() -> None:
        nonlocal answered, failed
        for _ in range(150):
            answer = served.get(served.port, "/items/1")
            with lock:
                answered += answer is not None
                failed += answer is None

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        answer = None
        while answer is None:
            answer = served.get(served.port, "/items/1")
        answered += 1
        os.kill(json.loads(answer), signal.SIGKILL)
        sums.append(served.scrape())
    for thread in threads:
        thread.join()

    counted = served.scrape()
    assert counted is not None
    assert [*sums, counted] == sorted([*sums, counted], key=lambda each: each or ())
    for number in counted:
        # A request whose worker is killed may have been counted before the answer was sent.
        assert answered <= number <= answered + failed


@pytest.mark.parametrize("served", [_WORKERS], indirect=True)
def test_process_metrics_and_heartbeat_are_those_of_each_process(served: Processes) -> None:
    served.send_requests()
    processes = [psutil.Process(served.main.pid), *psutil.Process(served.main.pid).children(recursive=True)]
    instrumented = [each for each in processes if "resource_tracker" not in " ".join(each.cmdline())]
    eventually(lambda: len(_samples(served, "trust_otel_instance_up")), len(instrumented))
    assert set(map(tuple, _samples(served, "trust_otel_instance_up").values())) == {(1.0,)}
    assert len(_samples(served, "process_cpu_time_seconds_total")) == len(instrumented)
    assert len(_samples(served, "trust_audit_events_total")) == 1


@pytest.mark.parametrize("served", [_FORKING], indirect=True)
def test_heartbeat_of_ended_processes_is_0(served: Processes) -> None:
    served.read_sent()
    values = sorted(_samples(served, "trust_otel_instance_up").values())
    assert values == [[0.0]] * 4 + [[1.0]]
    # Only of processes that live.
    assert len(_samples(served, "process_cpu_time_seconds_total")) == 1


@pytest.mark.parametrize("served", [_WORKERS], indirect=True)
def test_stopped_process_delays_no_scrape_and_loses_nothing(served: Processes) -> None:
    sent = served.send_requests()
    worker = json.loads(served.get(served.port, "/items/1") or b"0")
    os.kill(worker, signal.SIGSTOP)
    try:
        assert served.scrape() == (sent + 1, sent + 1)
    finally:
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGCONT)


@pytest.mark.parametrize("served", [_WORKERS], indirect=True)
def test_the_next_process_serves_and_keeps_the_identity(served: Processes) -> None:
    sent = served.send_requests()
    before = _samples(served, "trust_audit_events_total")
    served.kill_one(Victim.ENDPOINT)
    eventually(lambda: served.scrape(), (sent, sent))
    assert _samples(served, "trust_audit_events_total") == before
