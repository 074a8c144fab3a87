"""Certificates of TLS servers."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from trust_otel.monitors.certificates.content import Certificate, Content, Item, UnreadableError
from trust_otel.monitors.certificates.fetch import TIMEOUT, network_reason
from trust_otel.monitors.certificates.formats import parse
from trust_otel.monitors.certificates.names import host_and_port, shown_address
from trust_otel.monitors.certificates.tls12 import read_certificates
from trust_otel.monitors.tls import server_name

_DEFAULT_PORTS: Final = {"https": 443, "tls": 443, "tls+postgres": 5432}

_SSL_REQUEST: Final = struct.pack("!II", 8, 80877103)
"""SSLRequest; the response is `S` or `N` (PostgreSQL documentation, "SSL Session Encryption")."""


class EndpointSource:
    """A TLS server. Its certificate is not verified, so that expired certificates are reported as well.

    Args:
        url: `https://`, `tls://` or `tls+postgres://` URL with a host and optionally a port.
        scheme: Its scheme.
        name: Name of the certificate; by default the address.
    """

    def __init__(self, url: str, scheme: str, name: str | None) -> None:
        self._host, self._port = host_and_port(url, _DEFAULT_PORTS[scheme])
        self._scheme = scheme
        self._name = name or shown_address(self._host, self._port)

    def read(self) -> list[Item]:
        """The certificate of the server; with Python 3.13 or later the whole chain that it sends."""
        try:
            certificates = self._certificates()
        except (OSError, ValueError) as error:
            raise UnreadableError(network_reason(error)) from None
        contents = [parse(der) for der in certificates]
        unique: dict[bytes, Certificate] = {
            certificate.fingerprint: certificate for content in contents for certificate in content.certificates
        }
        problem = (
            None if all(content.certificates for content in contents) else "the server sends an invalid certificate"
        )
        return [Item("", self._name, Content(tuple(unique.values()), problem=problem))]

    def _certificates(self) -> list[bytes]:
        context = _context(self._scheme)
        try:
            return self._handshake(context)
        except ssl.SSLError:
            try:
                return self._incomplete_handshake(context)
            except (OSError, ValueError):
                pass
            raise

    def _handshake(self, context: ssl.SSLContext) -> list[bytes]:
        with (
            self._connection() as connection,
            context.wrap_socket(connection, server_hostname=server_name(self._host)) as tls,
        ):
            chain = getattr(tls, "get_unverified_chain", None)
            leaf = tls.getpeercert(binary_form=True)
            return list(chain()) if chain else [leaf or b""]

    def _incomplete_handshake(self, context: ssl.SSLContext) -> list[bytes]:
        cipher_suites = [cipher["id"] & 0xFFFF for cipher in context.get_ciphers()]
        with self._connection() as connection:
            return read_certificates(connection, server_name(self._host), cipher_suites, monotonic() + TIMEOUT)

    @contextmanager
    def _connection(self) -> Iterator[socket.socket]:
        deadline = monotonic() + TIMEOUT
        with socket.create_connection((self._host, self._port), timeout=TIMEOUT) as connection:
            if self._scheme == "tls+postgres":
                _request_tls(connection)
            connection.settimeout(max(0.1, deadline - monotonic()))
            yield connection


def _request_tls(connection: socket.socket) -> None:
    connection.sendall(_SSL_REQUEST)
    answer = connection.recv(1)
    if answer == b"N":
        raise UnreadableError("the database does not support TLS: set `ssl = on` on the server")
    if answer != b"S":
        raise UnreadableError("this is not a PostgreSQL server")


def _context(scheme: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # No data is sent, so weak keys and old protocol versions are acceptable.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    # Not the cipher suites without certificates.
    context.set_ciphers("ALL:COMPLEMENTOFALL:!aNULL:!PSK:!SRP:@SECLEVEL=0")
    if scheme == "https":
        # gRPC servers log clients that do not offer HTTP/2.
        context.set_alpn_protocols(["h2", "http/1.1"])
    return context
