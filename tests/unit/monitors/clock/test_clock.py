"""Comparison of the clock with time servers."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.monitors.waiting import eventually
from trust_otel.monitors.clock import ClockInstrumentor, sntp
from trust_otel.monitors.clock.sntp import TimeServerError, measure, measurement

_PACKET = struct.Struct("!BBbb3I4Q")
_1970 = 2_208_988_800
OFFSET = "trust.clock.offset"
UP = "trust.otel.source.up"


def timestamp(moment: float) -> int:
    return int((moment + _1970) * 2**32) % 2**64


def answer(
    nonce: int,
    *,
    received: float,
    sent: float | None = None,
    leap: int = 0,
    mode: int = 4,
    stratum: int = 2,
) -> bytes:
    transmit = timestamp(received if sent is None else sent)
    return _PACKET.pack(leap << 6 | 4 << 3 | mode, stratum, 0, 0, 0, 0, 0, 0, nonce, timestamp(received), transmit)


class Server:
    """A time server on loopback whose clock is wrong by some seconds."""

    def __init__(self, offset: float = 0, **fields: Any) -> None:
        self.offset = offset
        self.fields = fields
        self.requests: list[bytes] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            request, client = self._socket.recvfrom(1024)
            if not request:
                return
            self.requests.append(request)
            nonce = _PACKET.unpack(request)[-1]
            self._socket.sendto(answer(nonce, received=time.time() + self.offset, **self.fields), client)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._socket.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def make(offset: float = 0, **fields: Any) -> Server:
        made.append(Server(offset, **fields))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def start(recording: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ClockInstrumentor]]:
    monkeypatch.setenv("TRUST_OTEL_TIME_SERVER_INTERVAL", "0.02")
    instrumentor = ClockInstrumentor()

    def make(servers: str) -> ClockInstrumentor:
        monkeypatch.setenv("TRUST_OTEL_TIME_SERVERS", servers)
        instrumentor.instrument(metrics=recording.metrics)
        eventually(lambda: recording.labels(UP))
        return instrumentor

    yield make
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


class TestProtocol:
    def test_offset_and_round_trip(self) -> None:
        """Sent at 100 and received at 100.4; the server, 2 s ahead, took 0.2 s."""
        found = measurement(answer(7, received=102.1, sent=102.3), 7, 100.0, 100.4)
        assert found.offset == pytest.approx(2.0, abs=1e-6)
        assert found.round_trip == pytest.approx(0.2, abs=1e-6)

    def test_times_after_the_end_of_the_first_era(self) -> None:
        moment = 2_085_978_500.0  # 2036-02-07, after the timestamps started anew
        assert timestamp(moment) < 2**40
        assert measurement(answer(7, received=moment + 1), 7, moment, moment).offset == pytest.approx(1, abs=1e-5)

    @pytest.mark.parametrize(
        ("response", "problem"),
        [
            (b"", "not one of NTP"),
            (answer(7, received=100)[:47], "not one of NTP"),
            (answer(8, received=100), "not for this request"),
            (answer(7, received=100, mode=3), "not for this request"),
            (answer(7, received=100, stratum=0), "kiss-o'-death"),
            (answer(7, received=100, stratum=16), "not synchronized"),
            (answer(7, received=100, leap=3), "not synchronized"),
            (answer(7, received=100, sent=-_1970), "not synchronized"),
        ],
    )
    def test_response_without_a_valid_time_is_refused(self, response: bytes, problem: str) -> None:
        with pytest.raises(TimeServerError, match=problem):
            measurement(response, 7, 100.0, 100.0)

    @pytest.mark.parametrize("offset", [-3600.0, 0.0, 2.5])
    def test_server_on_loopback(self, serve: Callable[..., Server], offset: float) -> None:
        server = serve(offset)
        found = measure("127.0.0.1", server.port)
        assert found.offset == pytest.approx(offset, abs=0.5)
        assert 0 <= found.round_trip < 1

    def test_request_does_not_reveal_the_clock(self, serve: Callable[..., Server]) -> None:
        server = serve()
        measure("127.0.0.1", server.port)
        measure("127.0.0.1", server.port)
        first, second = server.requests
        assert first[:40] == second[:40] == bytes([0x23]) + bytes(39)
        assert first[40:] != second[40:]

    def test_server_that_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sntp, "TIMEOUT", 0.01)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            with pytest.raises(TimeServerError, match="does not answer"):
                measure("127.0.0.1", silent.getsockname()[1])

    def test_closed_port(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        with pytest.raises(TimeServerError, match="Connection refused"):
            measure("127.0.0.1", port)


class TestMonitor:
    def test_offset_of_each_server_is_exported(self, start: Any, recording: Any, serve: Callable[..., Server]) -> None:
        start(f"ahead=127.0.0.1:{serve(5).port},127.0.0.1:{(behind := serve(-5)).port}")
        eventually(lambda: len(recording.series(OFFSET)) == 2)
        offsets = {labels["trust.clock.server"]: point.value for labels, point in recording.series(OFFSET)}
        assert offsets == {
            "ahead": pytest.approx(5, abs=0.5),
            f"127.0.0.1:{behind.port}": pytest.approx(-5, abs=0.5),
        }
        assert len(recording.series("trust.clock.round_trip")) == 2
        assert recording.dropped() == {}

    def test_offset_ends_while_the_server_gives_no_time(
        self, start: Any, recording: Any, serve: Callable[..., Server]
    ) -> None:
        server = serve()
        start(f"a=127.0.0.1:{server.port}")
        assert recording.value(UP, {"trust.otel.source.kind": "clock", "trust.otel.source.name": "a"}) == 1
        server.fields = {"leap": 3}
        eventually(lambda: recording.value(UP) == 0)
        assert recording.series(OFFSET) == []
        server.fields = {}
        eventually(lambda: recording.value(UP) == 1)
        assert len(recording.series(OFFSET)) == 1

    def test_uninstrument_removes_series_and_thread(
        self, start: Any, recording: Any, serve: Callable[..., Server]
    ) -> None:
        start(f"a=127.0.0.1:{serve().port}").uninstrument()
        for metric in (OFFSET, "trust.clock.round_trip", UP):
            assert recording.series(metric) == []
        assert [thread for thread in threading.enumerate() if thread.name == "trust-otel-clock"] == []
