"""Stops the components when the process that started them dies, however it dies.

The guardian is a process of its own, outside the terminal's group. Its standard input is a pipe from
the guarded process, which tells it what it has started, one JSON object per line. The system closes
the pipe even after a kill -9; then the guardian stops what still runs. This works on every POSIX
system, needs no file that somebody may delete, and unlike Linux' parent-death signal does not take
the end of a thread for the end of the process.
"""

import json
import subprocess
import sys
from dataclasses import asdict

from trust_ops.stack import processes
from trust_ops.stack.state import ProcessRecord

_PROGRAM = "from trust_ops.stack.supervisor import main; main()"


class Guardian:
    """A guardian of the current process."""

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
        """Let a process not outlive this one; `grace` as in `processes.stop`. Raises OSError."""
        assert self._process.stdin is not None  # noqa: S101 - it was opened as a pipe
        self._process.stdin.write(json.dumps({"process": asdict(process), "grace": grace}) + "\n")
        self._process.stdin.flush()

    def dismiss(self) -> None:
        """End it; what is still watched and runs is stopped."""
        self._process.communicate()


def main() -> None:
    """Wait for the end of the guarded process, then stop what is left of it, the last first."""
    for line in reversed(sys.stdin.readlines()):
        watched = json.loads(line)
        processes.stop(ProcessRecord(**watched["process"]), watched["grace"])
