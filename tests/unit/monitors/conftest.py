"""Names of servers on loopback."""

from __future__ import annotations

import socket
from typing import Any

import pytest


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names that were resolved, each to the loopback address."""
    names: set[str] = set()
    original = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        names.add(host.decode() if isinstance(host, bytes) else host)
        return original("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return names
