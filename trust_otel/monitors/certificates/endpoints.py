"""Certificates that a server shows in a TLS handshake."""

from __future__ import annotations

import socket
import ssl
import struct
from time import monotonic
from typing import Final

from trust_otel.monitors.certificates.content import Certificate, Content, Item, UnreadableError
from trust_otel.monitors.certificates.fetch import TIMEOUT, network_reason
from trust_otel.monitors.certificates.formats import parse
from trust_otel.monitors.certificates.names import host_and_port, shown_address

_DEFAULT_PORTS: Final = {"https": 443, "tls": 443, "tls+postgres": 5432}

_SSL_REQUEST: Final = struct.pack("!II", 8, 80877103)
"""Question whether a server speaks TLS; the answer is `S` or `N` (PostgreSQL's manual, "SSL Session Encryption")."""


class EndpointSource:
    """A TLS server. Its certificate is not verified: an expired one is what the watch is for.

    Args:
        url: `https://`, `tls://` or `tls+postgres://` with a host, and a port if it is not the usual one.
        scheme: Scheme of the URL.
        name: Name of its certificate; its address when there is none.
    """

    def __init__(self, url: str, scheme: str, name: str | None) -> None:
        self._host, self._port = host_and_port(url, _DEFAULT_PORTS[scheme])
        self._scheme = scheme
        self._name = name or shown_address(self._host, self._port)

    def read(self) -> list[Item]:
        """The certificate, and from Python 3.13 on those that the server sends with it."""
        try:
            certificates = self._shake_hands()
        except (OSError, ValueError) as error:
            raise UnreadableError(network_reason(error)) from None
        contents = [parse(der) for der in certificates]
        unique: dict[bytes, Certificate] = {
            certificate.fingerprint: certificate for content in contents for certificate in content.certificates
        }
        problem = None if all(content.certificates for content in contents) else "shows a broken certificate"
        return [Item("", self._name, Content(tuple(unique.values()), problem=problem))]

    def _shake_hands(self) -> list[bytes]:
        deadline = monotonic() + TIMEOUT
        with socket.create_connection((self._host, self._port), timeout=TIMEOUT) as connection:
            if self._scheme == "tls+postgres":
                _ask_for_tls(connection)
            connection.settimeout(max(0.1, deadline - monotonic()))
            with _context(self._scheme).wrap_socket(connection, server_hostname=self._host) as tls:
                chain = getattr(tls, "get_unverified_chain", None)
                leaf = tls.getpeercert(binary_form=True)
                return list(chain()) if chain else [leaf or b""]


def _ask_for_tls(connection: socket.socket) -> None:
    connection.sendall(_SSL_REQUEST)
    answer = connection.recv(1)
    if answer == b"N":
        raise UnreadableError("the database does not offer TLS: set `ssl = on` there")
    if answer != b"S":
        raise UnreadableError("this is no PostgreSQL")


def _context(scheme: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Nothing is sent, so that weak keys and old versions only mean that the certificate can be seen.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    if scheme == "https":
        # gRPC servers log a client that does not ask for HTTP/2.
        context.set_alpn_protocols(["h2", "http/1.1"])
    return context
