"""Starts of a program with `opentelemetry-instrument`, up to its end: CPU time and memory.

The processes that are measured are started by this one, which is not instrumented.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from resource import struct_rusage
from typing import IO, cast

from benchmarks.workloads import Round

_SERVER_WORKERS = 4
_PROGRAMS = {
    "nothing": "pass",
    "FastAPI": "import fastapi",
    "all": "import fastapi, grpc, sqlalchemy, cryptography.x509",
}
_SERVER = [
    *("-m", "uvicorn", "application:app", "--app-dir", str(Path(__file__).parents[1] / "environments")),
    *("--port", "0", "--workers", str(_SERVER_WORKERS), "--timeout-worker-healthcheck", "60"),
]
_STARTED = "Application startup complete"


def prepare(variant: str, case: str) -> Round:
    """A round is one start; the case is `cpu` or `memory`, and the program."""
    quantity, program = case.split(maxsplit=1)
    launcher = [] if variant == "bare" else [str(Path(sys.executable).with_name("opentelemetry-instrument"))]
    arguments = _SERVER if program == "server" else ["-c", _PROGRAMS[program]]

    def start() -> float:
        usage = _usage([*launcher, sys.executable, *arguments], server=program == "server")
        # Linux gives KiB.
        return usage.ru_maxrss / 1024 if quantity == "memory" else (usage.ru_utime + usage.ru_stime) * 1e6

    return start


def _usage(command: list[str], *, server: bool) -> struct_rusage:
    """What a process and its children used, until it ends."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    with process:
        if server:
            _stop_when_started(process)
        errors = cast("IO[str]", process.stderr).read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, -15):
        raise RuntimeError(f"{command} exited with status {process.returncode}: {errors}")
    return usage


def _stop_when_started(process: subprocess.Popen[str]) -> None:
    """Wait until all workers have started, and stop the server."""
    log = cast("IO[str]", process.stderr)
    started = 0
    while started < _SERVER_WORKERS:
        line = log.readline()
        if not line:
            return
        started += _STARTED in line
    process.terminate()
