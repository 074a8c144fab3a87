import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from trust_ops.stack import processes
from trust_ops.stack.state import OPTIONAL, Addresses, ProcessRecord, State, load, port_of, save


def test_a_saved_state_is_loaded(tmp_path: Path) -> None:
    state = State(Addresses.on_free_ports(), {"collector": ProcessRecord(12, 34.5)})
    save(tmp_path / "stack.json", state)
    assert load(tmp_path / "stack.json") == state
    assert [file.name for file in tmp_path.iterdir()] == ["stack.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"addresses": {}, "processes": {}}'])
def test_an_invalid_state_file_is_ignored(tmp_path: Path, content: str) -> None:
    file = tmp_path / "stack.json"
    file.write_text(content)
    assert load(file) is None
    assert load(tmp_path / "missing.json") is None


def test_a_state_with_other_components_is_ignored(tmp_path: Path) -> None:
    addresses = Addresses.on_free_ports()
    file = tmp_path / "stack.json"
    for older in (addresses.always(), asdict(addresses) | {"optional": {}}):
        file.write_text(json.dumps({"addresses": older, "processes": {}}))
        assert load(file) is None


def test_addresses_are_on_different_loopback_ports() -> None:
    addresses = Addresses.on_free_ports()
    urls = [*addresses.always().values(), *addresses.optional.values()]
    assert len({port_of(url) for url in urls}) == 6 + len(OPTIONAL)
    assert all(url.startswith("http://127.0.0.1:") for url in urls)


def test_an_address_in_use_is_not_free() -> None:
    addresses = Addresses.on_free_ports()
    assert addresses.free()
    for url in (addresses.collector_health, addresses.optional["alertmanager-2-cluster"]):
        with socket.create_server(("127.0.0.1", port_of(url))):
            assert not addresses.free()


def test_a_url_without_a_port_is_rejected() -> None:
    with pytest.raises(ValueError, match="has no port"):
        port_of("http://127.0.0.1")


def test_a_process_with_a_reused_pid_is_not_stopped() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        recorded = processes.record(other.pid)
        assert processes.running(recorded)
        recycled = replace(recorded, started=recorded.started - 60)
        assert not processes.running(recycled)
        processes.stop(recycled, grace=1)
        processes.send(recycled, 9)
        assert processes.wait(recycled, 0)
        assert other.poll() is None
        processes.stop(recorded, grace=5)
        assert other.wait(5) == -signal.SIGTERM


def test_a_zombie_is_not_running() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    recorded = processes.record(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not processes.running(recorded)
    child.wait()


def test_a_process_that_ignores_sigterm_is_killed() -> None:
    program = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        processes.stop(processes.record(stubborn.pid), grace=0.2)
        assert stubborn.wait(5) == -signal.SIGKILL
