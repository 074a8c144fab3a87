"""Free TCP ports on loopback."""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from threading import Lock

LOOPBACK = "127.0.0.1"

# Below the ephemeral range (32768 and up): while a component restarts, a client that reconnects cannot
# be assigned its port as a source port.
_CANDIDATES = range(20000, 30000)


class _Claims:
    """Ports that a process of this user was given and may not have bound yet.

    Without it, two servers that start at the same time can get the same port, and with SO_REUSEPORT share it silently.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._claimed: set[int] = set()
        self._file: int | None = None

    def claim(self, port: int) -> bool:
        """Whether the port is now this process's, until it exits."""
        with self._lock:
            if port in self._claimed:
                return False
            if self._file is None:
                # Never closed: closing it releases the locks.
                self._file = os.open(_claims_path(), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                # One byte for each port. The kernel releases it when the process exits, however it does.
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            except OSError:
                return False
            self._claimed.add(port)
            return True


def _claims_path() -> Path:
    return Path(tempfile.gettempdir()) / f"trust-otel-ports-{os.getuid()}"


_claims = _Claims()


def free_ports(count: int) -> list[int]:
    """`count` different free ports, given to no other caller while this process lives.

    Raises OSError when there are fewer.
    """
    found: list[int] = []
    with ExitStack() as held:
        for port in random.sample(_CANDIDATES, len(_CANDIDATES)):
            if len(found) == count:
                return found
            bound = _bind(port)
            if bound is not None:
                held.enter_context(bound)
                if _claims.claim(port):
                    found.append(port)
    if len(found) == count:
        return found
    raise OSError(f"fewer than {count} free ports on {LOOPBACK} in {_CANDIDATES}")


def all_free(ports: Iterable[int]) -> bool:
    """Whether nothing listens on any of the ports."""
    for port in ports:
        bound = _bind(port)
        if bound is None:
            return False
        bound.close()
    return True


def _bind(port: int) -> socket.socket | None:
    candidate = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # As servers do: a connection that is still in TIME_WAIT does not make the port busy.
    candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        candidate.bind((LOOPBACK, port))
    except OSError:
        candidate.close()
        return None
    return candidate
