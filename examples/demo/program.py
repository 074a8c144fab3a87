"""A server in a separate process that stops when its parent process ends."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import httpx

from trust_ops.stack import processes
from trust_ops.stack.supervisor import Supervisor

_START_SECONDS = 60
_STOP_SECONDS = 30


class ServiceError(RuntimeError):
    """A server did not start; the message ends with the last lines of its log."""


class Program:
    """Runs a command while its block is open.

    Args:
        name: Name in messages and of the log file.
        command: Program and arguments.
        environment: Environment variables of the process.
        health: URL that returns success once the server is ready.
        folder: Working directory, also of the log.
    """

    def __init__(
        self, name: str, command: list[str], environment: Mapping[str, str], health: str, folder: Path
    ) -> None:
        self.log = folder / f"{name}.log"
        self._name = name
        self._command = command
        self._environment = environment
        self._health = health
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._supervisor: Supervisor | None = None

    def __enter__(self) -> Program:
        self._supervisor = Supervisor()
        self._process = processes.start(
            self._command, environment=self._environment, directory=self._folder, log=self.log
        )
        try:
            self._supervisor.watch(processes.record(self._process.pid), _STOP_SECONDS)
            self._await_healthy()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Terminate the process, and kill it if it does not exit in time."""
        if self._supervisor is not None:
            # A dismissed supervisor stops the processes that it still watches.
            self._supervisor.dismiss()
            self._supervisor = None
        if self._process is not None:
            self._process.wait()

    def _await_healthy(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise ServiceError(f"the {self._name} ended while starting:\n{self._last_lines()}")
            try:
                if httpx.get(self._health, trust_env=False).is_success:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise ServiceError(f"the {self._name} did not become healthy in {_START_SECONDS} s:\n{self._last_lines()}")

    def _last_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])


def plain_environment() -> dict[str, str]:
    """The environment without `OTEL_*` and `TRUST_OTEL_*` variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TRUST_OTEL_"))}
