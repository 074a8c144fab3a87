"""Processes that share an endpoint while there is no space for the files from which killed ones are read."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

from tests.conftest import parsed
from tests.support.mounts import own_mounts
from tests.support.running import eventually
from trust_ops.stack.ports import free_ports

Launcher = tuple[list[str], dict[str, str]]

# Its own /dev/shm, in which the program makes and removes a file that leaves no space.
_MOUNT = "mount -t tmpfs -o size=1m tmpfs /dev/shm"
_PROGRAM = """
import glob, os, signal, sys, time
from trust_otel import get_metrics

_REST = "/dev/shm/rest"

def fill():
    with open(_REST, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass

def record(process):
    # Long: they need more than the space that a process takes first.
    for number in range(100):
        get_metrics().record_audit_event(f"{process}{number}{700 * '-'}")

def child():
    with os.fdopen(inbox) as lines:
        for line in lines:
            record("c")
            os.write(done[1], b".")

if sys.argv[1] == "full":
    fill()
get_metrics().record_audit_event("p0")
inbox, outbox = os.pipe()
done = os.pipe()
forked = os.fork()
if not forked:
    os.close(outbox)
    child()
    os._exit(0)

def both():
    record("p")
    os.write(outbox, b"record\\n")
    os.read(done[0], 1)

for line in sys.stdin:
    command = line.strip()
    if command == "record":
        both()
    elif command == "fill":
        # Both have taken space, and need more later.
        while len(glob.glob("/dev/shm/*/*.cells")) < 2:
            time.sleep(0.01)
        fill()
    elif command == "free":
        os.unlink(_REST)
    elif command == "kill":
        os.kill(forked, signal.SIGKILL)
        os.waitpid(forked, 0)
    print(command, flush=True)
"""


class Processes:
    """A process and the one that it forked, which share an endpoint."""

    def __init__(self, process: subprocess.Popen[str], port: int, log: Path) -> None:
        self._process = process
        self._port = port
        self._log = log

    def do(self, command: str) -> None:
        stdin, stdout = _pipes(self._process)
        stdin.write(f"{command}\n")
        stdin.flush()
        assert stdout.readline() == f"{command}\n", self.log()

    def total(self) -> float:
        """The events on the endpoint."""
        page = httpx.get(f"http://127.0.0.1:{self._port}/metrics", trust_env=False).text
        return sum(value for (name, _), value in parsed(page).items() if name == "trust_audit_events_total")

    def end(self) -> int:
        self._process.communicate(timeout=60)
        return self._process.returncode

    def log(self) -> str:
        return self._log.read_text()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


@pytest.fixture
def processes(launcher: Launcher, tmp_path: Path) -> Callable[[str], AbstractContextManager[Processes]]:
    @contextmanager
    def start(disk: str) -> Iterator[Processes]:
        command, environment = launcher
        (port,) = free_ports(1)
        (tmp_path / "program.py").write_text(_PROGRAM)
        with (
            (tmp_path / "log").open("wb") as log,
            subprocess.Popen(
                [
                    *own_mounts(),
                    "sh",
                    "-c",
                    f'{_MOUNT} && exec "$@"',
                    "sh",
                    *command,
                    str(tmp_path / "program.py"),
                    disk,
                ],
                env={
                    **environment,
                    "OTEL_METRICS_EXPORTER": "prometheus",
                    "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
                    "TRUST_OTEL_ATTRIBUTE_LENGTH": "1000",
                },
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            ) as process,
        ):
            try:
                yield Processes(process, port, tmp_path / "log")
            finally:
                process.kill()

    return start


_RECORDED = 2 * 100
_FULL = "is missing from the metrics endpoint if it is killed"
_FREE = "is on the metrics endpoint again, also if it is killed"


@pytest.mark.parametrize("disk", ["full", "free"])
def test_full_disk_loses_nothing_once_there_is_space(
    processes: Callable[[str], AbstractContextManager[Processes]], disk: str
) -> None:
    with processes(disk) as running:
        if disk == "free":
            running.do("fill")
        for _ in range(3):
            running.do("record")
        assert running.total() == 1 + 3 * _RECORDED
        assert running.log().count(_FULL) <= 2, running.log()
        running.do("free")
        running.do("record")
        assert running.total() == 1 + 4 * _RECORDED
        assert running.total() == 1 + 4 * _RECORDED
        logged = running.log()
        # Each of the two processes has lost its space once, and got it back once.
        assert logged.count(_FULL) == logged.count(_FREE) == len(logged.splitlines()) / 2 > 0, logged
        running.do("kill")
        eventually(running.total, 1 + 4 * _RECORDED)
        assert running.end() == 0
    assert "Traceback" not in running.log()
