"""Runs a process model from start to exit, and counts its events on both paths."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.process_models import application
from benchmarks.process_models.models import Model, Victim
from benchmarks.process_models.programs import CELERY, TASKS
from benchmarks.servers.receiver import GrpcReceiver, OtlpReceiver
from trust_ops.stack.ports import free_ports

_SECONDS = 60.0
_SHORT_SECONDS = 5.0
_POLL_SECONDS = 0.05
_REQUESTS = 100
_NEVER = "3600000"
_SOON = "300"

METRICS = ("trust.audit.events", "trust.certificate.operation.duration")
"""A counter and a histogram; every event is in both."""
_PULLED = ("trust_audit_events_total", "trust_certificate_operation_duration_seconds_count")


class ModelFailed(Exception):  # noqa: N818 - not a programming error
    """The processes did not start, answer or stop. The message contains the log."""


@dataclass(frozen=True)
class Outcome:
    """The events of a process model."""

    sent: int
    pushed: tuple[int, ...]
    """Events at the receiver, by metric."""
    pulled: tuple[int, ...] | None
    """Events at the endpoint, by metric; `None` if it did not answer."""
    up: tuple[int, ...]
    """Last exported heartbeat of each process that exported anything."""
    refused: int
    """Exports that the receiver could not read."""
    status: int
    log: str


def run(model: Model, folder: Path) -> Outcome:
    """Start the processes, cause a known number of events, scrape, and end them."""
    shutil.copy(application.__file__, folder / "application.py")
    (folder / "program.py").write_text(model.program)
    (folder / "tasks.py").write_text(CELERY)
    with (
        GrpcReceiver() if model.grpc else OtlpReceiver() as receiver,
        started(model, folder, receiver.url) as processes,
    ):
        if model.program:
            sent = processes.read_sent()
        elif model.command[0] == "celery":
            sent = processes.send_tasks()
        else:
            sent = processes.send_requests()
            if model.victim is not None:
                # What was not exported when a process is killed cannot arrive.
                processes.wait("export", lambda: receiver.count(METRICS[0]) == sent, required=False)
                processes.kill_one(model.victim)
                sent += processes.send_requests(required=False)
        pulled = processes.scrape()
        status = processes.end()
        return Outcome(
            sent,
            tuple(receiver.count(metric) for metric in METRICS),
            pulled,
            receiver.values("trust.otel.instance.up"),
            receiver.refused,
            status,
            processes.log(),
        )


@contextmanager
def started(model: Model, folder: Path, url: str) -> Iterator[Processes]:
    """The processes of a model, which are killed afterwards."""
    processes = Processes(model, folder, url)
    try:
        yield processes
    finally:
        processes.kill()


class Processes:
    """The processes of a model.

    Attributes:
        port: Port of the server.
        endpoint: Port of the metrics endpoint.
        main: The process that was started.
    """

    def __init__(self, model: Model, folder: Path, url: str) -> None:
        self._model = model
        self._folder = folder
        self._log = folder / "log"
        self.port, self.endpoint = free_ports(2)
        self._worker = 0
        self._workers: set[int] = set()
        binaries = Path(sys.executable).parent
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ},
            "HOME": str(folder),
            "OTEL_SERVICE_NAME": "counted",
            "OTEL_PYTHON_DISTRO": "trust_distro",
            "OTEL_METRICS_EXPORTER": "otlp,prometheus",
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc" if model.grpc else "http/protobuf",
            "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(self.endpoint),
            "OTEL_METRIC_EXPORT_INTERVAL": _SOON if model.victim else _NEVER,
        }
        program, *arguments = model.command or ("python", "program.py")
        with self._log.open("wb") as log:
            self.main = subprocess.Popen(  # noqa: S603 - our own command
                [
                    str(binaries / "opentelemetry-instrument"),
                    str(binaries / program),
                    *(part.format(port=self.port) for part in arguments),
                ],
                cwd=folder,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def read_sent(self) -> int:
        """Wait until a program has ended its children; returns the number of events."""

        def lines() -> list[str]:
            return [line for line in self.log().splitlines() if line.startswith("SENT ")]

        self.wait("end of the children", lambda: bool(lines()))
        return int(lines()[0].split()[1])

    def send_tasks(self) -> int:
        """Run tasks in Celery."""
        self.wait("start", lambda: "ready." in self.log())
        subprocess.run([sys.executable, "tasks.py"], cwd=self._folder, env={"PATH": os.environ["PATH"]}, check=True)
        self.wait("end of the tasks", lambda: len(list(self._folder.glob("done-*"))) == TASKS)
        return TASKS

    def send_requests(self, *, required: bool = True) -> int:
        """Send requests one after the other; without a master the workers may end, and answer none."""
        sent = 0

        def answers() -> bool:
            nonlocal sent
            answer = self.get(self.port, "/items/1")
            if answer is None:
                return False
            sent += 1
            self._worker = json.loads(answer)
            self._workers.add(self._worker)
            return True

        # A worker that ends for `--max-requests` may refuse a connection, which it then has not counted.
        while sent < _REQUESTS and self.wait("response", answers, required=required):
            pass
        # A server may not stop while a worker is still starting.
        while len(self._workers) < self._model.workers:
            self.wait("response of every worker", answers)
        return sent

    def kill_one(self, victim: Victim) -> None:
        """Send SIGKILL."""
        main = psutil.Process(self.main.pid)
        if victim is Victim.MASTER:
            killed = main
        elif victim is Victim.ENDPOINT:
            killed = next(
                process
                for process in (main, *main.children(recursive=True))
                if any(
                    each.status == psutil.CONN_LISTEN and each.laddr.port == self.endpoint
                    for each in process.net_connections("tcp")
                )
            )
        else:
            killed = psutil.Process(self._worker)
        killed.kill()
        # Another process takes its place, which must have started before the server is stopped.
        self._workers.discard(killed.pid)

    def scrape(self) -> tuple[int, ...] | None:
        """The events at the endpoint, by metric; `None` if it does not answer."""
        answer = self.get(self.endpoint, "/metrics")
        if answer is None:
            return None
        samples = [sample for family in text_string_to_metric_families(answer.decode()) for sample in family.samples]
        return tuple(int(sum(sample.value for sample in samples if sample.name == name)) for name in _PULLED)

    def end(self) -> int:
        """Send the signal; returns the exit status once all processes have ended."""
        if self.main.stdin is not None:
            self.main.stdin.close()
        if self._model.to_all or self.main.poll() is not None:
            # The master may have been killed, and its workers go on.
            self._signal_group(self._model.signal)
        elif not self._model.program:
            self.main.send_signal(self._model.signal)
        try:
            status = self.main.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            raise ModelFailed(f"{self._model}: still running\n{self.log()}") from None
        self.wait("end of every process", lambda: not self._signal_group(0), early=True)
        return status

    def kill(self) -> None:
        """Kill all processes that are left."""
        self._signal_group(signal.SIGKILL)
        self.main.wait()

    def log(self) -> str:
        """What they wrote."""
        return self._log.read_text(errors="replace")

    def wait(self, purpose: str, done: Callable[[], bool], *, required: bool = True, early: bool = False) -> bool:
        """Wait until something is done; returns whether it is, if it is not required."""
        deadline = time.monotonic() + (_SECONDS if required else _SHORT_SECONDS)
        while not done():
            if not early and self.main.poll() is not None and self._model.victim is None:
                raise ModelFailed(f"{self._model}: exited early with {self.main.returncode}\n{self.log()}")
            if time.monotonic() > deadline:
                if not required:
                    return False
                raise ModelFailed(f"{self._model}: no {purpose} within {_SECONDS} s\n{self.log()}")
            time.sleep(_POLL_SECONDS)
        return True

    def _signal_group(self, number: int) -> bool:
        """Whether there was a process."""
        try:
            os.killpg(self.main.pid, number)
        except ProcessLookupError:
            return False
        return True

    def get(self, port: int, path: str) -> bytes | None:
        """The body of a successful response."""
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            return response.read() if response.status == 200 else None
        except (HTTPException, OSError):
            return None
        finally:
            connection.close()
