"""Which connections are closed when there are too many."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from trust_ops.incidents import connections as module
from trust_ops.incidents.connections import Connections


class Transport:
    """A connection from an address; records that it was closed."""

    def __init__(self, host: str, port: int) -> None:
        self.peer = (host, port, 0, 0) if ":" in host else (host, port)
        self.closed = False

    def get_extra_info(self, name: str) -> Any:
        assert name == "peername"
        return self.peer

    def abort(self) -> None:
        self.closed = True


def opened(connections: Connections, host: str, count: int, first_port: int = 1) -> list[Any]:
    transports: list[Any] = [Transport(host, first_port + number) for number in range(count)]
    for transport in transports:
        connections.opened(transport)
    return transports


def closed(transports: list[Any]) -> list[bool]:
    return [transport.closed for transport in transports]


async def test_the_oldest_of_a_client_with_too_many_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.0)
    connections = Connections(waiting=100, waiting_per_client=2)
    other = opened(connections, "192.0.2.2", 2)
    assert closed(opened(connections, "192.0.2.1", 4)) == [True, True, False, False]
    assert closed(other) == [False, False]


async def test_connections_that_come_together_are_not_closed_before_they_can_be_read() -> None:
    connections = Connections(waiting=100, waiting_per_client=2)
    assert not any(closed(opened(connections, "192.0.2.1", 50)))


async def test_above_the_limit_for_all_the_client_with_most_loses_its_oldest() -> None:
    connections = Connections(waiting=5)
    many = opened(connections, "192.0.2.1", 4)
    few = opened(connections, "192.0.2.2", 3)
    assert closed(many) == [True, True, False, False]
    assert closed(few) == [False, False, False]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
async def test_what_counts_as_one_client(monkeypatch: pytest.MonkeyPatch, one: str, other: str, same: bool) -> None:
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.0)
    connections = Connections(waiting_per_client=1)
    (first,) = opened(connections, one, 1)
    opened(connections, other, 1)
    assert first.closed == same


async def test_a_request_with_a_token_is_not_closed_to_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.0)
    connections = Connections(waiting=1, waiting_per_client=1, authorized=1)
    first, second = opened(connections, "192.0.2.1", 1)[0], opened(connections, "192.0.2.2", 1)[0]
    served = connections.of(("192.0.2.2", 1))
    assert served is not None
    assert connections.authorize(served)
    opened(connections, "192.0.2.2", 3, 10)
    assert (first.closed, second.closed) == (True, False)
    waiting = connections.of(("192.0.2.2", 12))
    assert waiting is not None
    assert not connections.authorize(waiting)
    connections.closed(served)
    assert connections.authorize(waiting)


async def test_a_connection_without_a_request_is_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUEST_SECONDS", 0.05)
    (transport,) = opened(Connections(), "192.0.2.1", 1)
    await asyncio.sleep(0.5)
    assert transport.closed
