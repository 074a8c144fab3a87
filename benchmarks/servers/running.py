"""Runs a server from start to exit, and records its observable behaviour."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import applications
from benchmarks.servers.cells import Cell
from benchmarks.servers.receiver import OtlpReceiver
from benchmarks.servers.requests import HTTP_REQUESTS, Answer, answers, process_id
from trust_ops.stack.ports import free_ports

_START_SECONDS = 120.0
_END_SECONDS = 60.0
_POLL_SECONDS = 0.05
_BARE = ("PATH", "LANG", "LC_ALL", "TMPDIR")


@dataclass(frozen=True)
class Run:
    """The observed behaviour of a server."""

    answers: list[Answer]
    status: int
    """The exit status as in `subprocess`: negative for a signal."""
    seconds_to_end: float
    processes_left: bool
    """Whether a child process of the server outlived it."""
    log: str
    sent: int
    """Number of HTTP requests with a response."""
    folder: str
    counted: int | None
    """Number of measured requests at the receiver; None without trust-otel."""


class ServerFailed(Exception):  # noqa: N818 - not a programming error
    """The server did not start or stop. The message contains the log."""


def run(cell: Cell, folder: Path, *, instrumented: bool) -> Run:
    """Start a server, send the requests, and stop it with the signal."""
    shutil.copy(applications.__file__, folder / "applications.py")
    with OtlpReceiver() as receiver:
        server = _Server(cell, folder, _launched(receiver) if instrumented else None)
        try:
            server.wait_until_it_answers()
            if cell.replaces_workers:
                server.replace_workers()
            found = answers(server.port)
            server.sent += HTTP_REQUESTS
            status, seconds = server.end()
            left = server.processes_left()
        finally:
            server.kill()
        counted = receiver.count("http.server.request.duration") if instrumented else None
        return Run(found, status, seconds, left, server.log(), server.sent, str(folder), counted)


def _launched(receiver: OtlpReceiver) -> dict[str, str]:
    return {
        "OTEL_SERVICE_NAME": "compared",
        "OTEL_PYTHON_DISTRO": "trust_distro",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
    }


class _Server:
    def __init__(self, cell: Cell, folder: Path, launched: Mapping[str, str] | None) -> None:
        self._cell = cell
        self._log = folder / "server.log"
        (self.port,) = free_ports(1)
        self.sent = 0
        self.workers: set[int] = set()
        binaries = Path(sys.executable).parent
        environment = {name: os.environ[name] for name in _BARE if name in os.environ}
        # gunicorn creates a socket in the home directory; the order in the header Allow is that of a set.
        environment |= {"HOME": str(folder), "PYTHONHASHSEED": "0"}
        launcher = [] if launched is None else [str(binaries / "opentelemetry-instrument")]
        program, *arguments = cell.command(self.port)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [*launcher, str(binaries / program), *arguments],
                cwd=folder,
                env={**environment, **(launched or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_it_answers(self) -> None:
        # A worker that is still starting when the server stops would log less.
        self._wait_for_workers(self.workers, but=set())

    def replace_workers(self) -> None:
        old = self.workers
        self.workers = set()
        self._process.send_signal(signal.SIGHUP)
        self._wait_for_workers(self.workers, but=old)
        # A worker that is stopping still responds, with the header "Connection: close".
        self._wait("exit of every old worker", lambda: not any(map(_exists, old)))

    def end(self) -> tuple[int, float]:
        begun = time.monotonic()
        if self._cell.to_all:
            os.killpg(self._process.pid, self._cell.signal)
        else:
            self._process.send_signal(self._cell.signal)
        try:
            status = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            raise ServerFailed(f"{self._cell}: still running {_END_SECONDS} s after the signal\n{self.log()}") from None
        return status, time.monotonic() - begun

    def processes_left(self) -> bool:
        # Helpers of `multiprocessing` exit after their parent.
        deadline = time.monotonic() + _END_SECONDS
        while self._group_lives() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return self._group_lives()

    def kill(self) -> None:
        if self._group_lives():
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def _group_lives(self) -> bool:
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _wait_for_workers(self, found: set[int], but: set[int]) -> None:
        def all_answer() -> bool:
            # The responding worker is random.
            worker = process_id(self.port)
            if worker is not None:
                self.sent += 1
                found.update({worker} - but)
            return len(found) == self._cell.workers

        self._wait("response of every worker", all_answer)

    def _wait(self, purpose: str, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not done():
            if self._process.poll() is not None:
                raise ServerFailed(f"{self._cell}: exited early with {self._process.returncode}\n{self.log()}")
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self._cell}: no {purpose} within {_START_SECONDS} s\n{self.log()}")
            time.sleep(_POLL_SECONDS)


def _exists(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


_VARIABLE = re.compile(r"\b\d[\d.:,+-]*|0x[0-9a-f]+")
_NOT_COMPARED = (
    # trust-otel says so of an application without a framework.
    "are not measured; to measure them",
    # Our own probes.
    "/process-id",
    # granian: a client disconnected before the application had finished.
    "ASGI transport error",
    # gunicorn, uvicorn: the signal arrived before the server had finished with the last client.
    "connections to finish",
    "Waiting for connections to close",
    "Waiting for background tasks",
)
_TRACEBACK = re.compile(r"Traceback \(most recent call last\)|^Exception\b|\bException in\b", re.MULTILINE)


def log_lines(run: Run) -> Counter[str]:
    """The lines of the log, without numbers and traceback frames."""
    return Counter(
        _VARIABLE.sub("N", line).rstrip()
        for line in run.log.replace(run.folder, "").splitlines()
        if line and not line[0].isspace() and not any(text in line for text in _NOT_COMPARED)
    )


def tracebacks(run: Run) -> int:
    """Number of exceptions in the log."""
    return len(_TRACEBACK.findall(run.log))
