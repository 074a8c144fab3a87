"""SNTP client: asks a time server for the offset of this host's clock (RFC 5905, 14)."""

from __future__ import annotations

import secrets
import socket
import struct
from dataclasses import dataclass
from time import time
from typing import Final

TIMEOUT: Final = 5.0
"""Timeout in seconds of a response."""

_PACKET: Final = struct.Struct("!BBbb3I4Q")
_CLIENT: Final = 0x23  # version 4, mode 3
_SERVER_MODE: Final = 4
_UNSYNCHRONIZED: Final = 3
_MOST_STRATUM: Final = 15
_ERA: Final = 2**32
_UNIX_EPOCH: Final = 2_208_988_800
"""Seconds from 1900, where NTP begins, to 1970."""


class TimeServerError(Exception):
    """The time server gives no time. The message names the reason, without data from the server."""


@dataclass(frozen=True)
class Measurement:
    """The clock of this host, compared with that of a server. Times are in seconds.

    Attributes:
        offset: Time of the server less that of this host.
        round_trip: Time that the request and the response took on the network; the error of `offset` is at most half.
    """

    offset: float
    round_trip: float


def measure(host: str, port: int) -> Measurement:
    """Send one request.

    Raises:
        TimeServerError: There is no response, or it has no valid time.
    """
    # Not the time of this host: only the server that received the request knows it (RFC 9109 has the same aim).
    nonce = secrets.randbits(64)
    request = _PACKET.pack(_CLIENT, 0, 0, 0, 0, 0, 0, 0, 0, 0, nonce)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as connection:
            connection.settimeout(TIMEOUT)
            # Only what this address sends is received.
            connection.connect(address)
            sent_at = time()
            connection.send(request)
            response = connection.recv(1024)
            received_at = time()
    except TimeoutError:
        raise TimeServerError(f"does not answer within {TIMEOUT:.0f} seconds") from None
    except (OSError, UnicodeError) as error:
        raise TimeServerError(getattr(error, "strerror", None) or "its host name is invalid") from None
    return measurement(response, nonce, sent_at, received_at)


def measurement(response: bytes, nonce: int, sent_at: float, received_at: float) -> Measurement:
    """The result of one exchange.

    Args:
        response: The packet of the server.
        nonce: The transmit timestamp of the request.
        sent_at: When the request was sent, as Unix time in seconds.
        received_at: When the response was received, in the same way.

    Raises:
        TimeServerError: The response has no valid time.
    """
    if len(response) < _PACKET.size:
        raise TimeServerError("the response is not one of NTP")
    flags, stratum, *_, origin, server_received, server_sent = _PACKET.unpack_from(response)
    if flags & 0b111 != _SERVER_MODE or origin != nonce:
        raise TimeServerError("the response is not for this request")
    if stratum == 0:
        raise TimeServerError("the server refuses the request (kiss-o'-death): ask it less often, or another one")
    if flags >> 6 == _UNSYNCHRONIZED or stratum > _MOST_STRATUM or not server_sent:
        raise TimeServerError("the server is not synchronized")
    first = _unix_time(server_received, near=received_at)
    second = _unix_time(server_sent, near=received_at)
    return Measurement(
        offset=((first - sent_at) + (second - received_at)) / 2,
        round_trip=max(0.0, (received_at - sent_at) - (second - first)),
    )


def _unix_time(timestamp: int, *, near: float) -> float:
    seconds = timestamp / _ERA - _UNIX_EPOCH
    # The timestamps start anew every 136 years, next in 2036 (RFC 5905, 6).
    return seconds + round((near - seconds) / _ERA) * _ERA
