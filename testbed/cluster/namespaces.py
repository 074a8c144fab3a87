"""Namespaces of its own for a node, which end with their first process."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

_KINDS: Final = ("--mount", "--net", "--pid", "--uts", "--ipc")
_CLONE_NEWNET: Final = 0x40000000
_PREPARE: Final = """\
set -e
mount --make-rprivate /
# Pods see what is mounted later, as on a machine of its own.
mount --make-rshared /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
for folder in lib log; do
    mkdir -p "$0/$folder"
    mount --bind "$0/$folder" "/var/$folder"
done
hostname "$1"
ip link set lo up
ip link add cni0 type bridge
ip address add "$2" dev cni0
ip link set cni0 up
# Without it, no process outside of pods finds a Service.
ip route add "$3" dev cni0
sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
exec "$4"
"""


class Namespaces:
    """A bridge `cni0`, an empty `/run`, and folders of its own for `/var/lib` and `/var/log`; a context manager.

    Args:
        folder: For `/var/lib` and `/var/log`.
        host: The host name.
        address: Address and prefix length of the bridge.
        services: The network of Services.
        init: The first process, which reaps all others.
    """

    def __init__(self, folder: Path, host: str, address: str, services: str, init: Path) -> None:
        self._command = [
            "unshare", *_KINDS, "--fork", "--kill-child",
            "sh", "-c", _PREPARE, str(folder), host, address, services, str(init),
        ]  # fmt: skip
        self._init = init
        self._pid = 0

    def __enter__(self) -> Namespaces:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)  # noqa: S603
        self._pid = self._first_process()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The first process ends by this too, and the kernel kills all others before it is gone.
        self._process.kill()
        self._process.wait()
        while Path(f"/proc/{self._pid}").exists():
            time.sleep(0.05)

    def command(self, *program: str) -> list[str]:
        """The command line that runs a program in the namespaces."""
        return ["nsenter", f"--target={self._pid}", *_KINDS, "--", *program]

    @contextmanager
    def network(self) -> Iterator[None]:
        """Let this thread open sockets of the node."""
        library = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net", "rb") as own, open(f"/proc/{self._pid}/ns/net", "rb") as node:
            _enter(library, node.fileno())
            try:
                yield
            finally:
                _enter(library, own.fileno())

    def _first_process(self) -> int:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        while self._process.poll() is None:
            found = children.read_text().split()
            if found and Path(f"/proc/{found[0]}/exe").resolve() == self._init.resolve():
                return int(found[0])
            time.sleep(0.02)
        raise RuntimeError("the namespaces of the node could not be made, see the messages above")


def _enter(library: ctypes.CDLL, descriptor: int) -> None:
    if library.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
