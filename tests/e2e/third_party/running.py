"""Installs a program, starts it without instrumentation or with a distribution, and sends it the requests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
import psutil

from benchmarks.installation import ROOT, installed
from benchmarks.servers.receiver import LatestValues, OtlpReceiver
from tests.e2e.third_party.programs import Program, Request
from trust_ops.stack.ports import free_ports

Start = Literal["bare", "stock", "trust-otel"]

_PROJECT = Path(__file__).with_name("environments")
_READY_SECONDS = 180.0
_END_SECONDS = 60.0
_COMMON = {
    "OTEL_SERVICE_NAME": "third-party",
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_METRIC_EXPORT_INTERVAL": "5000",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
}
_DISTROS: Mapping[Start, str] = {"stock": "distro", "trust-otel": "trust_distro"}


@dataclass(frozen=True)
class Run:
    """What was seen of a program.

    Attributes:
        statuses: Status of the response to each request.
        cpu_seconds: Processor time of all processes until the program was ready.
        memory_mebibytes: Memory of all processes after the requests: the sum of their proportional set sizes.
        exits: Exit status of each process, in the order of their start.
        log: The output of all processes.
        received: What was exported.
    """

    statuses: list[int]
    cpu_seconds: float
    memory_mebibytes: float
    exits: list[int]
    log: str
    received: LatestValues


def run(program: Program, start: Start, folder: Path) -> Run:
    """Start the program, send the requests, and stop it with SIGTERM. Raises AssertionError with its log."""
    group = f"{program.name}-{'stock' if start == 'bare' else start}"
    binaries = installed(_PROJECT, group, ROOT / ".venv-third-party")
    port, grpc_port = free_ports(2)
    values = {"port": str(port), "grpc_port": str(grpc_port), "folder": str(folder)}
    for name, text in program.files.items():
        (folder / name).write_text(_filled(text, values), encoding="utf-8")
    log = folder / "log"
    with OtlpReceiver() as receiver, ExitStack() as processes:
        environment = {
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            **{name: _filled(text, values) for name, text in program.environment.items()},
            **_COMMON,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        }
        launcher = []
        if start != "bare":
            environment["OTEL_PYTHON_DISTRO"] = _DISTROS[start]
            launcher = ["opentelemetry-instrument"]
        running: list[subprocess.Popen[bytes]] = []
        for command in program.processes:
            filled = [_filled(part, values) for part in command]
            running.append(processes.enter_context(_process([*launcher, *filled], environment, folder, log)))
            if program.rpc:
                _wait_until(lambda: _listens(grpc_port), running, log)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            _wait_until(lambda: _ready(client, program), running, log)
            cpu_seconds = sum(_cpu_seconds(process) for process in running)
            statuses = [_status(client, request) for request in program.requests]
        memory = sum(_memory(process) for process in running) / 2**20
        exits = [_ended(process, log) for process in reversed(running)][::-1]
    return Run(statuses, cpu_seconds, memory, exits, log.read_text(errors="replace"), receiver)


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


@contextmanager
def _process(
    command: list[str], environment: Mapping[str, str], folder: Path, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    executable = shutil.which(command[0], path=environment["PATH"])
    assert executable is not None, f"{command[0]} is not installed"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [executable, *command[1:]],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        left = [one for one in psutil.process_iter() if _session(one.pid) == process.pid]
        for each in left:
            each.kill()
        psutil.wait_procs(left)
        process.wait()


def _session(process_id: int) -> int | None:
    try:
        return os.getsid(process_id)
    except (ProcessLookupError, PermissionError):
        return None


def _wait_until(done: Callable[[], bool], running: list[subprocess.Popen[bytes]], log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not done():
        assert all(process.poll() is None for process in running), f"exited early\n{log.read_text()}"
        assert time.monotonic() < deadline, f"not ready within {_READY_SECONDS} s\n{log.read_text()}"
        time.sleep(0.2)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _ready(client: httpx.Client, program: Program) -> bool:
    try:
        return client.get(program.ready).status_code == 200
    except httpx.TransportError:
        return False


def _status(client: httpx.Client, request: Request) -> int:
    return client.request(request.method, request.path, json=request.body).status_code


def _with_children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    top = psutil.Process(process.pid)
    return [top, *top.children(recursive=True)]


def _cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    times = [each.cpu_times() for each in _with_children(process)]
    return sum(time.user + time.system + time.children_user + time.children_system for time in times)


def _memory(process: subprocess.Popen[bytes]) -> int:
    return sum(each.memory_full_info().pss for each in _with_children(process))


def _ended(process: subprocess.Popen[bytes], log: Path) -> int:
    process.terminate()
    try:
        return process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"still running {_END_SECONDS} s after SIGTERM\n{log.read_text()}") from None
