"""A network as it stands in a feed."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_pton
from typing import Final

from trust_otel.security.cidr_set import unmapped

_UNICAST_END: Final = 0xE0  # first byte of the multicast and reserved addresses of IPv4
_GLOBAL_UNICAST: Final = (0x20, 0x3F)  # first byte of IPv6's, 2000::/3 (RFC 4291, section 2.4)


def parse_network(text: str) -> tuple[bytes, int]:
    """The address and the length of the prefix of a network or a single address; bits past the prefix may be set.

    Raises:
        ValueError: It is none.
    """
    address, slash, length = text.partition("/")
    try:
        number = inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    except OSError:
        raise ValueError("this is no address") from None
    bits = len(number) * 8
    if not slash:
        return unmapped(number, bits)
    if not (length.isascii() and length.isdigit()) or len(length) > 3 or int(length) > bits:
        raise ValueError("this is no length of a prefix")
    return unmapped(number, int(length))


def is_too_broad(number: bytes, length: int) -> bool:
    """Whether a network holds more than a /8 of IPv4's or a /16 of IPv6's unicast addresses: no list means that."""
    if len(number) == 4:
        return length < 8 and number[0] < _UNICAST_END
    if length >= 16:
        return False
    host = 0xFF >> min(length, 8)
    first, last = number[0] & ~host, number[0] | host
    return first <= _GLOBAL_UNICAST[1] and last >= _GLOBAL_UNICAST[0]
