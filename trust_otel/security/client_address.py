"""Addresses of clients: one text for each, how it may appear in a series, and whose it is behind proxies."""

from __future__ import annotations

import hmac
import logging
import os
import re
import stat
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from secrets import token_bytes
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

from trust_otel.security.cidr_set import MAPPED, NetworkSet
from trust_otel.setting_lists import CLIENT_ADDRESS_FORMS, Network

_logger = logging.getLogger(__name__)

SHORTEST_KEY: Final = 32
_LONGEST_KEY: Final = 4096

_HEADER_TAIL: Final = 2048
"""Most bytes of a header that are looked at, from its end, where the nearest proxies write."""

# RFC 7239, section 4: a pair; a value that ought to be quoted, because of its colon, often is not.
_PAIR: Final = re.compile(
    r"""[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s",;=]*)[ \t]*(?:;|$)""",
)
# RFC 7239, section 6: a port, also a hidden one.
_PORT: Final = re.compile(r":(?:[0-9]{1,5}|_[0-9A-Za-z._-]+)")


def packed(address: str) -> bytes:
    """The 4 bytes of an IPv4 address, also of one within IPv6 (RFC 4291, section 2.5.5.2), or the 16 of an IPv6 one.

    Raises:
        ValueError: The text is no IPv4 or IPv6 address. It does not stand in the message.
    """
    try:
        if ":" not in address:
            return inet_pton(AF_INET, address)
        number = inet_pton(AF_INET6, address)
    except (OSError, TypeError, ValueError):
        number = _packed_undressed(address)
    return number[12:] if number.startswith(MAPPED) else number


def canonical(address: str) -> str:
    """One text per client: an IPv4 address within IPv6 as itself, IPv6 compressed, no brackets and no zone.

    Raises:
        ValueError: The text is no IPv4 or IPv6 address. It does not stand in the message.
    """
    return _text(packed(address))


def _text(number: bytes) -> str:
    return inet_ntop(AF_INET if len(number) == 4 else AF_INET6, number)


def _packed_undressed(address: object) -> bytes:
    """The bytes of an address of the standard library, or of an IPv6 address in brackets or with a zone."""
    if isinstance(address, (IPv4Address, IPv6Address)):
        return address.packed
    if isinstance(address, str):
        bare = address[1:-1] if address[:1] == "[" and address[-1:] == "]" else address
        bare, separator, zone = bare.partition("%")
        try:
            if bare != address and bool(zone) == bool(separator) and "%" not in zone:
                return inet_pton(AF_INET6, bare)
        except (OSError, ValueError):
            pass
    raise ValueError("this is no IPv4 or IPv6 address")


class AddressForm:
    """How the address of a client may appear in a series.

    Args:
        form: `full`; `truncated` to its /24 or /48; `hashed`, the first 16 hexadecimal digits of HMAC-SHA256 (RFC 2104)
            over the canonical text; or `off`.
        key: Key of the hash; by default a random one, so that no other process, and none after a restart, gives the
            same hash.
    """

    def __init__(self, form: str, key: bytes | None = None) -> None:
        if form not in CLIENT_ADDRESS_FORMS:
            raise ValueError(f"the form is one of {', '.join(CLIENT_ADDRESS_FORMS)}")
        self._form = form
        self._key = token_bytes(SHORTEST_KEY) if key is None else key

    def shown(self, address: str) -> str | None:
        """What stands for an address, given in its canonical form; `None` when nothing may."""
        if self._form == "full":
            return address
        if self._form == "truncated":
            return _truncated(address)
        if self._form == "hashed":
            return hmac.digest(self._key, address.encode(), "sha256")[:8].hex()
        return None


def _truncated(address: str) -> str:
    number = packed(address)
    if len(number) == 4:
        return f"{_text(number[:3] + bytes(1))}/24"
    return f"{_text(number[:6] + bytes(10))}/48"


def read_key(path: str) -> bytes:
    """The key of the hash: all bytes of a file, as they are.

    Raises:
        ValueError: It is too short or too long for a key.
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        key = file.read(_LONGEST_KEY + 1)
        mode = os.fstat(file.fileno()).st_mode
    if not SHORTEST_KEY <= len(key) <= _LONGEST_KEY:
        raise ValueError(
            f"the file holds no key: it needs {SHORTEST_KEY} to {_LONGEST_KEY} bytes; "
            f"make one by `openssl rand -out FILE {SHORTEST_KEY}`"
        )
    if mode & stat.S_IROTH:
        _logger.warning(
            "trust-otel: every user of this machine can read the file of TRUST_OTEL_CLIENT_ADDRESS_KEY_FILE; "
            "set its mode to 0400"
        )
    return key


class TrustedProxies:
    """Finds the client behind proxies, believing only what trusted ones wrote.

    The headers are read from their end, where the nearest proxy wrote, past every trusted address: the first that is
    not trusted is the client's. At what is no address, such as `unknown` or a hidden name, the way ends, and the client
    is the last trusted proxy before it: whatever is further left, anybody may have written.

    Args:
        networks: Where the trusted proxies are.
    """

    def __init__(self, networks: Iterable[Network]) -> None:
        self._trusted = NetworkSet.of(networks)
        self._any = bool(self._trusted)

    def client(self, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """The canonical address of the client.

        Without a header of a trusted proxy it is the peer. With both `Forwarded` (RFC 7239) and `X-Forwarded-For` it is
        the peer too, unless they name the same client: a proxy that writes one of them passes the other on as the
        client sent it, and nothing tells which.

        Args:
            peer: Who is at the other end of the connection.
            headers: Names in lower case and values, as in ASGI.

        Returns:
            `None` when the peer has no address, as on a Unix socket: then no header is believed.
        """
        try:
            number = packed(peer) if peer else None
        except ValueError:
            number = None
        if number is None:
            return None
        if self._any and number in self._trusted:
            number = self._behind(number, headers)
        return _text(number)

    def _behind(self, peer: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        forwarded: list[bytes] = []
        x_forwarded_for: list[bytes] = []
        for name, value in headers:
            if name == b"x-forwarded-for":
                x_forwarded_for.append(value)
            elif name == b"forwarded":
                forwarded.append(value)
        clients = set()
        if forwarded:
            clients.add(self._walk(peer, _forwarded_nodes(_tail(forwarded))))
        if x_forwarded_for:
            clients.add(self._walk(peer, _x_forwarded_for_nodes(_tail(x_forwarded_for))))
        return clients.pop() if len(clients) == 1 else peer

    def _walk(self, peer: bytes, nodes: Iterator[str | None]) -> bytes:
        client = peer
        for node in nodes:
            number = _node_address(node)
            if number is None:
                return client
            client = number
            if number not in self._trusted:
                return client
        return client


def _tail(lines: list[bytes]) -> str:
    """The end of a header that may stand on several lines; an entry that was cut is left out."""
    joined = b",".join([line[-_HEADER_TAIL - 1 :] for line in lines])
    if len(joined) > _HEADER_TAIL:
        joined = joined[-_HEADER_TAIL:].partition(b",")[2]
    return joined.decode("latin-1")


def _x_forwarded_for_nodes(value: str) -> Iterator[str | None]:
    for entry in reversed(value.split(",")):
        if node := entry.strip(" \t"):
            yield node


def _forwarded_nodes(value: str) -> Iterator[str | None]:
    """Whom each entry of `Forwarded` names, the last entry first; `None` for one that names nobody.

    A quotation mark that a client left open must not swallow what a proxy wrote after it: hence from the end.
    """
    pieces: list[str] = []
    within_quotes = False
    for piece in reversed(value.split(",")):
        pieces.append(piece)
        within_quotes ^= bool(piece.count('"') % 2)
        if not within_quotes:
            if entry := ",".join(reversed(pieces)).strip(" \t"):
                yield _forwarded_for(entry)
            pieces = []
    if within_quotes:
        yield None


def _forwarded_for(entry: str) -> str | None:
    """The `for` of an entry; `None` when there is none, or more than one, or the entry is malformed."""
    node = None
    position = 0
    while position < len(entry):
        pair = _PAIR.match(entry, position)
        if pair is None:
            return None
        if pair[1].lower() == "for":
            if node is not None:
                return None
            node = pair[2].strip('"')
        position = pair.end()
    return node


def _node_address(node: str | None) -> bytes | None:
    """The address of a node (RFC 7239, section 6), with a port or without; `None` for `unknown`, hidden, or junk."""
    if not node:
        return None
    host, port = node, ""
    if node[0] == "[":
        host, bracket, port = node.partition("]")
        host += bracket
    elif node.count(":") == 1:
        host, _, port = node.partition(":")
        port = f":{port}"
    if port and not _PORT.fullmatch(port):
        return None
    try:
        return packed(host)
    except ValueError:
        return None
