"""A program of the pipeline: it can be killed and started again with the same data."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from trust_ops.stack import processes

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 10.0


@dataclass
class Program:
    """A command with its variables; `endpoints` are the host and port of each listener by name."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    endpoints: Mapping[str, str]
    health: str
    client: httpx.Client
    directory: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """What the program printed."""
        return self.directory / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """Process id, if it runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it and wait until it is healthy; raises RuntimeError with its log if it is not in time."""
        environment = {**os.environ, **self.environment}
        self._process = processes.start(self.command, environment=environment, directory=self.directory, log=self.log)
        deadline = time.monotonic() + _START_SECONDS
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.05)

    def stop(self, signal_number: int = signal.SIGTERM) -> None:
        """End it by a signal; after ten seconds, by SIGKILL."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal_number)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _healthy(self) -> bool:
        try:
            return self.client.get(self.health).is_success
        except httpx.TransportError:
            return False
