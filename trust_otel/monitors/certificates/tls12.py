"""Reads the certificates of a TLS 1.2 server without completing the handshake (RFC 5246).

For servers that refuse the handshake of `ssl`: it can neither offer several curves, among them those of RFC 7027, nor
return the certificates of a server that requires one of the client. In TLS 1.2, they are not encrypted.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from struct import pack
from time import monotonic
from typing import Final

_HANDSHAKE: Final = 22
_SERVER_HELLO: Final = 2
_CERTIFICATE: Final = 11

_RENEGOTIATION_INFO: Final = 0x00FF
"""The cipher suite value that every client must send (RFC 5746, section 3.4)."""

_MAX_BYTES: Final = 1024 * 1024

_SERVER_NAME: Final = 0
_GROUPS: Final = 10
_POINT_FORMATS: Final = 11
_SIGNATURE_ALGORITHMS: Final = 13

# IANA, TLS Supported Groups: X25519, X448, the curves of NIST, Brainpool and SECG, and ffdhe2048 to ffdhe8192.
_ALL_GROUPS: Final = (29, 30, 23, 24, 25, 26, 27, 28, 22, 21, 19, *range(256, 261))
# IANA, TLS SignatureScheme: ECDSA, EdDSA, RSA-PSS, RSA and DSA, with SHA-2 and SHA-1.
_ALL_SIGNATURE_ALGORITHMS: Final = (
    *(0x0403, 0x0503, 0x0603, 0x0303, 0x0203),
    *(0x0807, 0x0808),
    *(0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B),
    *(0x0401, 0x0501, 0x0601, 0x0301, 0x0201),
    *(0x0402, 0x0502, 0x0602, 0x0302, 0x0202),
)


def read_certificates(
    connection: socket.socket, server_name: str, cipher_suites: Iterable[int], deadline: float
) -> list[bytes]:
    """The certificates that the server sends, in DER.

    Args:
        connection: A connection on which nothing was sent.
        server_name: Name for SNI; an IP address is not sent.
        cipher_suites: Numbers of the cipher suites to offer.
        deadline: Time of `monotonic` at which to give up.

    Raises:
        OSError: The connection failed or the deadline has passed.
        ValueError: The server sent something else.
    """
    connection.sendall(_client_hello(server_name, cipher_suites))
    for kind, body in _messages(connection, deadline):
        if kind == _CERTIFICATE:
            return list(_certificates(body))
        if kind != _SERVER_HELLO:
            break
    raise ValueError("no certificate")


def _client_hello(server_name: str, cipher_suites: Iterable[int]) -> bytes:
    extensions = {
        _GROUPS: _vector(2, _numbers(_ALL_GROUPS)),
        _POINT_FORMATS: _vector(1, b"\0"),
        _SIGNATURE_ALGORITHMS: _vector(2, _numbers(_ALL_SIGNATURE_ALGORITHMS)),
    }
    if not _is_address(server_name):
        extensions[_SERVER_NAME] = _vector(2, b"\0" + _vector(2, server_name.encode("idna")))
    body = (
        b"\3\3"
        + os.urandom(32)
        + _vector(1, b"")
        + _vector(2, _numbers((*cipher_suites, _RENEGOTIATION_INFO)))
        + _vector(1, b"\0")
        + _vector(2, b"".join(pack("!H", number) + _vector(2, data) for number, data in extensions.items()))
    )
    return pack("!BH", _HANDSHAKE, 0x0301) + _vector(2, b"\1" + _vector(3, body))


def _vector(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width, "big") + data


def _numbers(numbers: Iterable[int]) -> bytes:
    return b"".join(pack("!H", number) for number in numbers)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _messages(connection: socket.socket, deadline: float) -> Iterator[tuple[int, bytes]]:
    """Type and body of each handshake message."""
    data = b""
    while len(data) < _MAX_BYTES:
        header = _received(connection, 5, deadline)
        if header[0] != _HANDSHAKE:
            raise ValueError("no handshake message")
        data += _received(connection, int.from_bytes(header[3:5], "big"), deadline)
        while len(data) >= 4 and len(data) >= (end := 4 + int.from_bytes(data[1:4], "big")):
            yield data[0], data[4:end]
            data = data[end:]
    raise ValueError("too long")


def _received(connection: socket.socket, count: int, deadline: float) -> bytes:
    data = b""
    while len(data) < count:
        connection.settimeout(max(0.01, deadline - monotonic()))
        chunk = connection.recv(count - len(data))
        if not chunk or monotonic() > deadline:
            raise TimeoutError if chunk else ConnectionError
        data += chunk
    return data


def _certificates(body: bytes) -> Iterator[bytes]:
    position, end = 3, 3 + int.from_bytes(body[:3], "big")
    while position < end:
        begin = position + 3
        position = begin + int.from_bytes(body[position:begin], "big")
        if position > len(body):
            raise ValueError("truncated")
        yield body[begin:position]
