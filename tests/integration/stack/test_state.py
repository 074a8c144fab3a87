"""Processes of a stack are identified and stopped."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

from trust_ops.stack import processes


def test_a_process_with_a_reused_pid_is_not_stopped() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        recorded = processes.record(other.pid)
        assert processes.running(recorded)
        recycled = replace(recorded, started=recorded.started - 60)
        assert not processes.running(recycled)
        processes.stop(recycled, grace=1)
        processes.send(recycled, 9)
        assert processes.wait(recycled, 0)
        assert other.poll() is None
        processes.stop(recorded, grace=5)
        assert other.wait(5) == -signal.SIGTERM


def test_a_zombie_is_not_running() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    recorded = processes.record(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not processes.running(recorded)
    child.wait()


def test_a_process_that_ignores_sigterm_is_killed() -> None:
    program = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        processes.stop(processes.record(stubborn.pid), grace=0.2)
        assert stubborn.wait(5) == -signal.SIGKILL
