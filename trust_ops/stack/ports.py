"""Free TCP ports on loopback."""

import random
import socket
from collections.abc import Iterable
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"

# Below the ephemeral range (32768 and up): while a component restarts, a client that reconnects cannot
# be assigned its port as a source port.
_CANDIDATES = range(20000, 30000)


def free_ports(count: int) -> list[int]:
    """`count` different free ports. Raises OSError when there are fewer."""
    found: list[int] = []
    with ExitStack() as held:
        for port in random.sample(_CANDIDATES, len(_CANDIDATES)):
            if len(found) == count:
                return found
            bound = _bind(port)
            if bound is not None:
                held.enter_context(bound)
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
