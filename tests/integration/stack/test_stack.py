"""The stack with fake components."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.stack.conftest import script
from trust_ops.stack import ComponentError, Stack, processes
from trust_ops.stack.processes import running
from trust_ops.stack.state import State, load, port_of, save


def records(directory: Path) -> State:
    state = load(directory / "stack.json")
    assert state is not None
    return state


def pids(stack: Stack) -> dict[str, int | None]:
    return {component.name: component.pid for component in stack.status()}


def test_a_second_up_reuses_the_running_stack(tmp_path: Path, fake_binaries: dict[str, str]) -> None:
    with Stack(tmp_path / "run", environ=fake_binaries) as stack:
        addresses = stack.up()
        before = pids(stack)
        assert all(component.healthy for component in stack.status())
        with Stack(tmp_path / "run", environ=fake_binaries) as second:
            assert second.up() == addresses
            assert pids(second) == before
            assert not second.started_anything()
        assert pids(stack) == before, "a stack that was already running is left running"


def test_leaving_the_context_stops_everything_and_keeps_the_addresses(
    tmp_path: Path, fake_binaries: dict[str, str]
) -> None:
    with Stack(tmp_path, environ=fake_binaries) as stack:
        first = stack.up()
        processes = records(tmp_path).processes
    assert not any(running(process) for process in processes.values())
    assert records(tmp_path).processes == {}
    with Stack(tmp_path, environ=fake_binaries) as stack:
        assert stack.up() == first


def test_an_address_in_use_is_replaced(tmp_path: Path, fake_binaries: dict[str, str]) -> None:
    with Stack(tmp_path, environ=fake_binaries) as stack:
        first = stack.up()
    with (
        socket.create_server(("127.0.0.1", port_of(first.otlp_http))),
        Stack(tmp_path, environ=fake_binaries) as stack,
    ):
        assert stack.up().otlp_http != first.otlp_http


def test_a_state_without_running_processes_is_replaced(tmp_path: Path, fake_binaries: dict[str, str]) -> None:
    with Stack(tmp_path, environ=fake_binaries) as stack:
        stack.up()
        state = records(tmp_path)
    # This process has the pid of the stale record, but another start time.
    stale = replace(next(iter(state.processes.values())), pid=os.getpid())
    save(tmp_path / "stack.json", State(state.addresses, {"collector": stale, "prometheus": stale}))
    lines: list[str] = []
    with Stack(tmp_path, environ=fake_binaries, on_progress=lines.append) as stack:
        assert [component.running for component in stack.status()] == [False, False]
        stack.up()
        assert os.getpid() not in pids(stack).values()
    assert lines[0] == "the previous stack of this directory exited without being stopped; starting a new one"


def test_a_killed_and_restarted_component_keeps_its_address(tmp_path: Path, fake_binaries: dict[str, str]) -> None:
    with Stack(tmp_path, environ=fake_binaries) as stack:
        addresses = stack.up()
        before = pids(stack)
        stack.kill("collector")
        assert stack.crashed() == ["collector"]
        assert pids(stack) == {**before, "collector": None}
        with pytest.raises(ComponentError, match="collector is not running"):
            stack.kill("collector")
        stack.start("collector")
        assert stack.crashed() == []
        assert pids(stack)["prometheus"] == before["prometheus"]
        stack.restart("prometheus")
        assert pids(stack)["prometheus"] not in (None, before["prometheus"])
        assert stack.addresses() == addresses


def test_a_component_that_exits_on_start_is_reported_with_its_log(
    tmp_path: Path, fake_binaries: dict[str, str]
) -> None:
    broken = script(tmp_path / "broken", "#!/bin/sh\necho 'bad configuration: line 3' >&2\nexit 1\n")
    environ = fake_binaries | {"TRUST_OTEL_COLLECTOR_BINARY": str(broken)}
    stack = Stack(tmp_path / "run", environ=environ)
    with stack, pytest.raises(ComponentError) as caught:
        stack.up()
    assert str(caught.value) == (
        f"collector exited while starting. Its log, {tmp_path}/run/logs/collector.log, ends with:\n"
        "    bad configuration: line 3\n"
    )
    assert [component.running for component in stack.status()] == [False, False]


def test_logs_returns_the_last_lines(tmp_path: Path, fake_binaries: dict[str, str]) -> None:
    with Stack(tmp_path, environ=fake_binaries) as stack:
        assert stack.logs("collector") == ""
        port = port_of(stack.up().collector_health)
        stack.restart("collector")
        assert stack.logs("collector") == f"listening on {port}\n" * 2
        assert stack.logs("collector", lines=1) == f"listening on {port}\n"


def test_unknown_components_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown components \['grafana'\]"):
        Stack(tmp_path, components=("grafana",))
    with pytest.raises(ComponentError, match="there is no component 'grafana'"):
        Stack(tmp_path).kill("grafana")
    with pytest.raises(ComponentError, match=r"there is no stack in .*: call up\(\) first"):
        Stack(tmp_path).kill("collector")


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_components_do_not_outlive_the_process_that_started_them(
    tmp_path: Path, fake_binaries: dict[str, str], ending: int
) -> None:
    program = f"""
import os, pathlib
from trust_ops.stack import Stack
stack = Stack(pathlib.Path({str(tmp_path)!r}), environ={fake_binaries!r})
stack.up()
os.kill(os.getpid(), {int(ending)})
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode == -ending
    left = records(tmp_path).processes.values()
    assert len(left) == 2
    deadline = time.monotonic() + 20
    while any(running(process) for process in left) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(running(process) for process in left)


def test_components_are_stopped_when_their_folder_was_deleted(tmp_path: Path, fake_binaries: dict[str, str]) -> None:
    folder = tmp_path / "run"
    with Stack(folder, environ=fake_binaries) as stack:
        stack.up()
        started = records(folder).processes.values()
        shutil.rmtree(folder)
        assert stack.status() == []
        assert stack.crashed() == []
    assert not any(running(process) for process in started)
    assert not folder.exists()


def test_a_detached_stack_stays_until_down(tmp_path: Path, fake_binaries: dict[str, str]) -> None:
    program = f"""
import pathlib
from trust_ops.stack import Stack
Stack(pathlib.Path({str(tmp_path)!r}), environ={fake_binaries!r}, detached=True).up()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)
    stack = Stack(tmp_path)
    try:
        assert [component.healthy for component in stack.status()] == [True, True]
    finally:
        stack.down()
    assert [component.running for component in stack.status()] == [False, False]


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_the_files_of_a_stack_are_private(tmp_path: Path, fake_binaries: dict[str, str], umask: int) -> None:
    folder = tmp_path / "state" / "stack"
    before = os.umask(umask)
    try:
        with Stack(folder, environ=fake_binaries) as stack:
            stack.up()
            assert {stat.S_IMODE(each.stat().st_mode) for each in (folder.parent, folder)} == {0o700}
            for name in ("stack.json", "stack.lock", "logs/collector.log"):
                assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
            # Created by an earlier release.
            folder.chmod(0o777)
            stack.up()
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_files_created_by_components_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        processes.start(
            ["/bin/sh", "-c", "mkdir data; touch data/file"],
            environment={**os.environ},
            directory=tmp_path,
            log=tmp_path / "log",
        ).wait(30)
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("data", "data/file")] == [0o700, 0o600]


def test_a_directory_of_another_user_is_rejected(
    tmp_path: Path, fake_binaries: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ComponentError, match="belongs to another user"):
        Stack(tmp_path / "run", environ=fake_binaries).up()


def test_a_state_file_writable_by_others_is_not_trusted(tmp_path: Path, fake_binaries: dict[str, str]) -> None:
    with Stack(tmp_path, environ=fake_binaries) as stack:
        stack.up()
        (tmp_path / "stack.json").chmod(0o666)
        assert stack.status() == []
