"""Starts and stops processes. Never signals a process that a stack did not start."""

import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from trust_ops.private_files import open_private
from trust_ops.stack.state import ProcessRecord

# Start times of the same process differ by rounding only; those of a reused pid by seconds.
_SAME_START = 1.0
_POLL_SECONDS = 0.02


def start(
    command: list[str], *, environment: Mapping[str, str], directory: Path, log: Path
) -> "subprocess.Popen[bytes]":
    """Start a process that appends to `log` and creates private files (umask 077).

    Raises OSError when it cannot be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab", opener=open_private) as output:
        return subprocess.Popen(  # noqa: S603 - a component of the stack
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C in the terminal signals the whole foreground process group; components must be stopped
            # in order instead.
            start_new_session=True,
            umask=0o077,
        )


def record(pid: int) -> ProcessRecord:
    """The record of a started process.

    Raises psutil.NoSuchProcess when it has already exited.
    """
    return ProcessRecord(pid=pid, started=psutil.Process(pid).create_time())


def running(process: ProcessRecord) -> bool:
    """Whether this process is running: not a zombie, and not another process with a reused pid."""
    return _find(process) is not None


def send(process: ProcessRecord, signal_number: int) -> None:
    """Send a signal, unless the process has exited."""
    found = _find(process)
    if found is not None:
        with suppress(psutil.NoSuchProcess):
            found.send_signal(signal_number)


def wait(process: ProcessRecord, seconds: float) -> bool:
    """Wait for the process to exit; returns whether it did in time."""
    # Not psutil's wait(): it waits until the pid is free, which may never happen in a container whose
    # init process does not reap zombies.
    deadline = time.monotonic() + seconds
    while running(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def stop(process: ProcessRecord, grace: float) -> None:
    """Stop the process with SIGTERM, after `grace` seconds with SIGKILL."""
    found = _find(process)
    if found is None:
        return
    with suppress(psutil.NoSuchProcess):
        found.terminate()
        if not wait(process, grace):
            found.kill()
            wait(process, grace)


def _find(process: ProcessRecord) -> psutil.Process | None:
    try:
        found = psutil.Process(process.pid)
        same = abs(found.create_time() - process.started) < _SAME_START
        return found if same and found.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None
