"""Ports for programs that start at the same time."""

import subprocess
import sys

from trust_ops.stack.ports import free_ports

_PROGRAM = """
from trust_ops.stack.ports import free_ports
print(*free_ports(200), flush=True)
input()
"""


def test_another_process_is_not_given_the_same_ports() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        given = {int(port) for port in other.stdout.readline().split()}
        assert len(given) == 200
        assert not given & set(free_ports(200))
        other.communicate("\n")
    assert other.returncode == 0
