"""The clock check of timestamps, with the time server of the testbed."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from trust_service import clock
from trust_service.clock import Clock

from testbed.time_server import TimeServer
from trust_otel.monitors.clock.sntp import measure


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def server() -> Iterator[TimeServer]:
    with TimeServer(_free_port()) as running:
        yield running


@pytest.mark.parametrize("offset", [0, 2.5, -7200])
def test_the_time_server_is_ahead_by_its_offset(server: TimeServer, offset: float) -> None:
    server.offset = offset
    host, _, port = server.address.partition(":")
    measured = measure(host, int(port))
    assert abs(measured.offset - offset) <= measured.round_trip / 2 + 0.001


@pytest.mark.parametrize(("offset", "exact"), [(0, True), (-5, False), (5, False)])
async def test_the_clock_is_exact_within_the_tolerance(server: TimeServer, offset: float, exact: bool) -> None:
    own = Clock(server.address, tolerance=1)
    assert not own.is_exact
    server.offset = offset
    await own.compare()
    assert own.is_exact == exact


async def test_a_difference_ends_exactness_at_once(server: TimeServer) -> None:
    own = Clock(server.address, tolerance=1)
    await own.compare()
    server.offset = 5
    await own.compare()
    assert not own.is_exact


@pytest.mark.parametrize(("valid_seconds", "exact"), [(60, True), (0, False)])
async def test_a_silent_server_ends_exactness_after_a_while(
    server: TimeServer, monkeypatch: pytest.MonkeyPatch, valid_seconds: int, exact: bool
) -> None:
    monkeypatch.setattr(clock, "_VALID_SECONDS", valid_seconds)
    own = Clock(server.address, tolerance=1)
    await own.compare()
    monkeypatch.setattr(own, "_server", f"127.0.0.1:{_free_port()}")
    await own.compare()
    assert own.is_exact == exact


async def test_without_a_time_server_the_clock_is_trusted() -> None:
    own = Clock(None, tolerance=1)
    await own.compare()
    assert own.is_exact
