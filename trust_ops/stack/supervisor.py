"""Stops the components when the process that started them dies, even by SIGKILL.

The supervisor is a separate process, outside the terminal's process group. Its standard input is a pipe
from the supervised process, which writes one JSON object per started process. The system closes the pipe
when that process dies; then the supervisor stops what is still running. This works on every POSIX system,
needs no file that could be deleted, and unlike Linux' parent-death signal it is not triggered by the end
of a thread.
"""

import json
import subprocess
import sys
from dataclasses import asdict

from trust_ops.stack import processes
from trust_ops.stack.state import ProcessRecord

_PROGRAM = "from trust_ops.stack.supervisor import main; main()"


class Supervisor:
    """The supervisor of the current process."""

    def __init__(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(  # noqa: S603 - this module
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    def watch(self, process: ProcessRecord, grace: float) -> None:
        """Stop a process when this one exits; `grace` as in `processes.stop`. Raises OSError."""
        assert self._process.stdin is not None  # noqa: S101 - it was opened as a pipe
        self._process.stdin.write(json.dumps({"process": asdict(process), "grace": grace}) + "\n")
        self._process.stdin.flush()

    def dismiss(self) -> None:
        """Stop the supervisor and every process that it still watches."""
        self._process.communicate()


def main() -> None:
    """Wait for the supervised process to exit, then stop its remaining processes, last started first."""
    for line in reversed(sys.stdin.readlines()):
        watched = json.loads(line)
        processes.stop(ProcessRecord(**watched["process"]), watched["grace"])
