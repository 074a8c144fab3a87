"""Client addresses: canonical form, form in metrics, and the client behind trusted proxies."""

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

from trust_otel.security.cidr_set import MAPPED, CidrSet
from trust_otel.setting_lists import CLIENT_ADDRESS_FORMS, Network

_logger = logging.getLogger(__name__)

MIN_KEY_BYTES: Final = 32
_MAX_KEY_BYTES: Final = 4096

_HEADER_TAIL: Final = 2048
"""Only the last bytes of a header are parsed: the nearest proxies append their entries at the end."""

# RFC 7239, section 4: a pair. Values with a colon must be quoted, but often are not.
_PAIR: Final = re.compile(
    r"""[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s",;=]*)[ \t]*(?:;|$)""",
)
# RFC 7239, section 6: a port or an obfuscated port.
_PORT: Final = re.compile(r":(?:[0-9]{1,5}|_[0-9A-Za-z._-]+)")


def packed(address: str) -> bytes:
    """The address as 4 bytes (IPv4, also IPv4-mapped IPv6, RFC 4291, section 2.5.5.2) or 16 bytes (IPv6).

    Raises:
        ValueError: The text is not an IPv4 or IPv6 address. The message does not contain it.
    """
    try:
        if ":" not in address:
            return inet_pton(AF_INET, address)
        number = inet_pton(AF_INET6, address)
    except (OSError, TypeError, ValueError):
        number = _packed_unusual(address)
    return number[12:] if number.startswith(MAPPED) else number


def canonical(address: str) -> str:
    """The canonical text: IPv4-mapped addresses as IPv4, IPv6 compressed (RFC 5952), without brackets and zone.

    Raises:
        ValueError: The text is not an IPv4 or IPv6 address. The message does not contain it.
    """
    return _text(packed(address))


def _text(number: bytes) -> str:
    return inet_ntop(AF_INET if len(number) == 4 else AF_INET6, number)


def _packed_unusual(address: object) -> bytes:
    """The bytes of an `ipaddress` object, or of an IPv6 address with brackets or a zone."""
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
    raise ValueError("this is not an IPv4 or IPv6 address")


class AddressForm:
    """The form in which client addresses appear in metrics.

    Args:
        form: `full`; `truncated` to the /24 or /48 network; `hashed`, the first 16 hexadecimal digits of HMAC-SHA256
            (RFC 2104) over the canonical text; or `off`.
        key: Key of the hash. By default a random key, so hashes differ between processes and after a restart.
    """

    def __init__(self, form: str, key: bytes | None = None) -> None:
        if form not in CLIENT_ADDRESS_FORMS:
            raise ValueError(f"form must be one of {', '.join(CLIENT_ADDRESS_FORMS)}")
        self._form = form
        self._key = token_bytes(MIN_KEY_BYTES) if key is None else key

    def shown(self, address: str) -> str | None:
        """The label value for an address in canonical form; `None` if addresses are not exported."""
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
    """Read the key of the hash: the unchanged content of a file.

    Raises:
        ValueError: The key is too short or too long.
        OSError: The file cannot be read.
    """
    with open(path, "rb") as file:
        key = file.read(_MAX_KEY_BYTES + 1)
        mode = os.fstat(file.fileno()).st_mode
    if not MIN_KEY_BYTES <= len(key) <= _MAX_KEY_BYTES:
        raise ValueError(
            f"the file contains no valid key: a key has {MIN_KEY_BYTES} to {_MAX_KEY_BYTES} bytes; "
            f"create one with `openssl rand -out FILE {MIN_KEY_BYTES}`"
        )
    if mode & stat.S_IROTH:
        _logger.warning(
            "trust-otel: the file in TRUST_OTEL_CLIENT_ADDRESS_KEY_FILE is readable by every user of this machine; "
            "set its mode to 0400"
        )
    return key


class TrustedProxies:
    """Finds the client address behind trusted proxies.

    `Forwarded` and `X-Forwarded-For` are read from right to left, starting at the nearest proxy. The first address that
    is not a trusted proxy is the client. The search stops at an entry that is not an address, such as `unknown` or an
    obfuscated identifier; the client is then the last trusted proxy, because entries further left can be forged.

    Args:
        networks: Networks of the trusted proxies.
    """

    def __init__(self, networks: Iterable[Network]) -> None:
        self._trusted = CidrSet.of(networks)
        self._any = bool(self._trusted)

    def client(self, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """The canonical address of the client.

        If the peer is not a trusted proxy or sent no header, it is the peer. If `Forwarded` (RFC 7239) and
        `X-Forwarded-For` are both present and name different clients, it is the peer as well: a proxy sets one of them
        and forwards the other as the client sent it, and they cannot be told apart.

        Args:
            peer: Address of the other end of the connection.
            headers: Lowercase names and values, as in ASGI.

        Returns:
            `None` if the peer has no IP address, as on a Unix socket; the headers are then ignored.
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
    """The end of a header that may have several lines, without an entry that was cut off."""
    joined = b",".join([line[-_HEADER_TAIL - 1 :] for line in lines])
    if len(joined) > _HEADER_TAIL:
        joined = joined[-_HEADER_TAIL:].partition(b",")[2]
    return joined.decode("latin-1")


def _x_forwarded_for_nodes(value: str) -> Iterator[str | None]:
    for entry in reversed(value.split(",")):
        if node := entry.strip(" \t"):
            yield node


def _forwarded_nodes(value: str) -> Iterator[str | None]:
    """The node of each entry of `Forwarded`, last entry first; `None` for an entry without a valid node.

    Parsed from the end, so that an unclosed quote sent by the client cannot hide entries that proxies appended.
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
    """The `for` parameter of an entry; `None` if it is missing or repeated, or if the entry is malformed."""
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
    """The address of a node (RFC 7239, section 6), with or without a port; `None` if it is not an address."""
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
