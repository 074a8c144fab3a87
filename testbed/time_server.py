"""A time server (SNTP, RFC 5905) on loopback, whose clock can be set."""

from __future__ import annotations

import socket
import struct
import time
from threading import Thread
from types import TracebackType

_PACKET = struct.Struct("!BBbb3I4Q")
_FLAGS = 4 << 3 | 4  # no warning, version 4, mode server
_STRATUM = 1
_PRECISION = -20  # 2 ** -20 s
_REFERENCE = int.from_bytes(b"LOCL", "big")
_ERA = 2**32
_UNIX_EPOCH = 2_208_988_800
_MAX_REQUEST = 1024


class TimeServer:
    """Answers while the block is open.

    Args:
        port: UDP port on 127.0.0.1.

    Attributes:
        address: Its address, as `host:port`.
        offset: Seconds by which its clock is ahead of that of the host.
    """

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self.offset = 0.0
        self._port = port

    def __enter__(self) -> TimeServer:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", self._port))
        self._thread = Thread(target=self._serve, name="time-server", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.sendto(b"", ("127.0.0.1", self._port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            request, client = self._socket.recvfrom(_MAX_REQUEST)
            received_at = self._now()
            # Only its own end sends a packet without content.
            if not request:
                return
            if len(request) >= _PACKET.size:
                self._socket.sendto(self._answer(request, received_at), client)

    def _answer(self, request: bytes, received_at: int) -> bytes:
        origin = _PACKET.unpack_from(request)[-1]
        head = (_FLAGS, _STRATUM, 0, _PRECISION, 0, 0, _REFERENCE)
        return _PACKET.pack(*head, received_at, origin, received_at, self._now())

    def _now(self) -> int:
        return int((time.time() + self.offset + _UNIX_EPOCH) * _ERA) % 2**64
