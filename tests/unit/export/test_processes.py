"""The folder of the processes that share an endpoint."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.resources import Resource

from tests.support.running import eventually
from trust_otel import forks
from trust_otel.export import processes
from trust_otel.export.processes import VARIABLE, ProcessGroup, join
from trust_otel.export.snapshots import dumps, snapshot_of
from trust_otel.recording import shared_cells


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Shorter than pytest's: the path of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "_SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(shared_cells, "_sharing", shared_cells._Sharing())
    monkeypatch.setattr(forks, "_functions", [])
    monkeypatch.setenv(VARIABLE, "")


@pytest.fixture
def group() -> Iterator[ProcessGroup]:
    made = join("service")
    assert made is not None
    made.start(lambda: None, lambda: None)
    yield made
    made.end()


def _counted(number: int, instance: str) -> MetricsData:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], Resource({"service.instance.id": instance}), shutdown_on_exit=False)
    provider.get_meter("m").create_counter("counted").add(number)
    data = reader.get_metrics_data()
    provider.shutdown()
    assert data is not None
    return data


def _sum(data: MetricsData) -> dict[str, float]:
    """The sum of the counter, by instance."""
    found: dict[str, float] = {}
    for part in data.resource_metrics:
        taken = snapshot_of(MetricsData([part]))
        values = [
            point.value for points in taken.series.values() for point in points.values() if hasattr(point, "value")
        ]
        found[str(part.resource.attributes["service.instance.id"])] = sum(values)
    return found


def _exposed(group: ProcessGroup) -> dict[str, float]:
    """The sum of the counter at the endpoint, by instance."""
    data = group.merged(lambda: _counted(1, "own"))
    assert data is not None
    return _sum(data)


def _leave(folder: Path, name: str, number: int) -> None:
    """Leave what a process leaves that ended in order."""
    (folder / f"{name}.lock").touch()
    (folder / f"{name}.last").write_bytes(dumps(snapshot_of(_counted(number, name))))


def test_one_process_exports_what_it_collected(group: ProcessGroup) -> None:
    assert group.merged(lambda: _counted(1, "own")) is None


def test_ended_processes_count_once(group: ProcessGroup, tmp_path: Path) -> None:
    (folder,) = tmp_path.iterdir()
    _leave(folder, "a", 10)
    _leave(folder, "b", 100)
    for _ in range(2):
        assert _exposed(group) == {"own": 111}
    assert list(folder.glob("a.*")) == []
    # The sum is there for the next process that serves.
    group._dead = None
    assert _exposed(group) == {"own": 111}


def test_process_is_not_added_again_whose_files_could_not_be_removed(
    group: ProcessGroup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = tmp_path.iterdir()
    _leave(folder, "a", 10)
    with monkeypatch.context() as patch:
        # As if the process had been killed between the two.
        patch.setattr(processes._Dead, "_remove", lambda *_: None)
        assert _exposed(group) == {"own": 11}
    assert (folder / "a.last").exists()
    group._dead = None
    assert _exposed(group) == {"own": 11}
    assert not (folder / "a.last").exists()


def test_sum_stays_when_it_cannot_be_written(
    group: ProcessGroup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = tmp_path.iterdir()
    _leave(folder, "a", 10)

    def full(*_: object) -> None:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(processes, "_write", full)
        for _ in range(2):
            assert _exposed(group) == {"own": 11}
    assert (folder / "a.last").exists()


def test_last_process_removes_the_folder(tmp_path: Path) -> None:
    made = join("service")
    assert made is not None
    assert [path.name.startswith("trust-otel-processes-") for path in tmp_path.iterdir()] == [True]
    made.end()
    assert list(tmp_path.iterdir()) == []


def test_many_forks_do_not_wait_for_a_first_process_that_does_not_answer() -> None:
    made = join("service")
    assert made is not None
    # Not started: nobody accepts, as in a first process that is stopped.
    for _ in range(20):
        child = os.fork()
        if not child:
            os._exit(0)
        try:
            eventually(lambda: os.waitpid(child, os.WNOHANG), (child, 0), 20)  # noqa: B023
        except AssertionError:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
    made.end()


def test_left_over_folders_are_swept_and_others_are_kept(group: ProcessGroup, tmp_path: Path) -> None:
    (living,) = tmp_path.iterdir()
    left_over = tmp_path / "trust-otel-processes-0123456789ab-left"
    left_over.mkdir()
    (left_over / "group").touch()
    foreign = tmp_path / "trust-otel-something"
    foreign.mkdir()
    child = os.fork()
    if not child:
        os.environ[VARIABLE] = ""
        joined = join("other service")
        os._exit(0 if joined is not None and not left_over.exists() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert living.exists()
    assert foreign.exists()


def test_folder_of_another_user_is_not_touched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    left = tmp_path / "trust-otel-processes-0-left"
    left.mkdir()
    (left / "group").touch()
    monkeypatch.setattr(os, "getuid", lambda: left.stat().st_uid + 1)
    processes._sweep(tmp_path)
    assert (left / "group").exists()


def test_lock_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "group").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="group"):
        processes._FileLock(tmp_path / "group")
    assert not (tmp_path / "elsewhere").exists()


def test_processes_with_another_service_or_address_do_not_join(group: ProcessGroup, tmp_path: Path) -> None:
    other = join("other service")
    assert other is not None
    assert len(list(tmp_path.iterdir())) == 2
    other.end()
    assert len(list(tmp_path.iterdir())) == 1


def test_without_a_place_the_process_serves_for_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(processes, "_SHARED_MEMORY", tmp_path / "none")
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "none"))
    assert join("service") is None
    assert len(caplog.messages) == 1
