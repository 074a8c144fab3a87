"""Parsing of the networks in a feed."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_pton
from typing import Final

from trust_otel.security.cidr_set import unmapped

_UNICAST_END: Final = 0xE0  # first byte of IPv4 multicast and reserved addresses
_GLOBAL_UNICAST: Final = (0x20, 0x3F)  # first bytes of IPv6 global unicast, 2000::/3 (RFC 4291, section 2.4)


def parse_network(text: str) -> tuple[bytes, int]:
    """Address and prefix length of a network or a single address. Host bits may be set.

    Raises:
        ValueError: The text is not a network.
    """
    address, slash, length = text.partition("/")
    try:
        number = inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    except OSError:
        raise ValueError("this is not an address") from None
    bits = len(number) * 8
    if not slash:
        return unmapped(number, bits)
    if not (length.isascii() and length.isdigit()) or len(length) > 3 or int(length) > bits:
        raise ValueError("this is not a prefix length")
    return unmapped(number, int(length))


def is_too_broad(number: bytes, length: int) -> bool:
    """Whether a network contains unicast addresses and is larger than /8 (IPv4) or /16 (IPv6): certainly a mistake."""
    if len(number) == 4:
        return length < 8 and number[0] < _UNICAST_END
    if length >= 16:
        return False
    host = 0xFF >> min(length, 8)
    first, last = number[0] & ~host, number[0] | host
    return first <= _GLOBAL_UNICAST[1] and last >= _GLOBAL_UNICAST[0]
