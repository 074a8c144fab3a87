"""The HTTP server of the endpoint: a thread per connection, which neither a slow nor a silent client keeps."""

from __future__ import annotations

import errno
import io
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from socketserver import TCPServer, ThreadingMixIn
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakSet
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from trust_otel import forks
from trust_otel.background import signals_blocked

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer
    from _typeshed.wsgi import WSGIApplication

_MOST_CONNECTIONS: Final = 50
_SECONDS_TO_ASK: Final = 10.0
"""For the TLS handshake and the request together."""
_SECONDS_TO_RECEIVE: Final = 30.0

_NO_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE)
_SECONDS_WITHOUT_DESCRIPTORS: Final = 0.1

TlsContext = Callable[[], ssl.SSLContext | None]
"""Returns the current context; `None` without TLS."""


class Server:
    """Serves an application until `stop`, or until a fork in the child process.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for any free one, which is then in the attribute `port`.
        application: What to serve.
        tls_context: Called for each connection.

    Raises:
        OSError: The port is in use or the address is not local.
    """

    def __init__(self, host: str, port: int, application: WSGIApplication, tls_context: TlsContext) -> None:
        self._http: _HttpServer | None = _HttpServer(host, port, application, tls_context)
        self.port: int = self._http.server_port
        self._thread = threading.Thread(
            target=self._http.serve_forever, name="trust-otel-prometheus-endpoint", daemon=True
        )
        with signals_blocked():
            self._thread.start()
        _running.add(self)

    def stop(self, seconds: float) -> None:
        """Stop serving; waits at most this long."""
        http, self._http = self._http, None
        if http is None:
            return
        _running.discard(self)
        with suppress(OSError):
            # Interrupts the server's wait for a connection, which otherwise takes up to 0.5 s.
            http.socket.shutdown(socket.SHUT_RDWR)
        http.shutdown()
        http.server_close()
        self._thread.join(seconds)

    def close_in_child(self) -> None:
        """Close what a forked process has inherited: the parent serves, and its port must become free with it."""
        http, self._http = self._http, None
        if http is not None:
            for inherited in (http.socket, *http.connections.open_sockets()):
                with suppress(OSError):
                    # Not `close`, which waits for the files that were made of the socket.
                    os.close(inherited.detach())


class _Connections:
    """The open connections, and whether each has sent its request."""

    def __init__(self) -> None:
        self._lock = forks.released_in_child(threading.Lock())
        self._silent: dict[socket.socket, bool] = {}

    def admit(self, connection: socket.socket) -> bool:
        """Add a connection; one past the limit takes the place of the oldest that has not sent its request."""
        with self._lock:
            if len(self._silent) >= _MOST_CONNECTIONS:
                oldest = next((each for each, silent in self._silent.items() if silent), None)
                if oldest is None:
                    return False
                del self._silent[oldest]
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
            self._silent[connection] = True
            return True

    def asked(self, connection: socket.socket) -> None:
        """Note that a connection has sent its request."""
        with self._lock:
            if connection in self._silent:
                self._silent[connection] = False

    def remove(self, connection: socket.socket) -> None:
        """Remove a connection that is closed."""
        with self._lock:
            self._silent.pop(connection, None)

    def open_sockets(self) -> Iterable[socket.socket]:
        """All of them; without the lock, which may be held for ever in a forked process."""
        return tuple(self._silent)


class _HttpServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = _MOST_CONNECTIONS

    def __init__(self, host: str, port: int, application: WSGIApplication, tls_context: TlsContext) -> None:
        resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, address = resolved[0][0], resolved[0][4]
        self.connections = _Connections()
        self._tls_context = tls_context
        self.set_app(application)
        super().__init__((str(address[0]), int(address[1])), _Handler)

    def server_bind(self) -> None:
        # Not that of `HTTPServer`, which looks up the name of the host.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            connection, address = super().get_request()
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                # The connection still waits, so the server would try again at once.
                sleep(_SECONDS_WITHOUT_DESCRIPTORS)
            raise
        try:
            context = self._tls_context()
            if context is not None:
                # The handshake is in the thread of the connection.
                connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        except Exception as error:
            connection.close()
            # What the server expects of a connection that fails.
            raise OSError from error
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return self.connections.admit(request)

    def shutdown_request(self, request: Any) -> None:
        self.connections.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore it: the client is gone, too slow or no HTTP client. Errors of the application do not get here."""


class _Handler(WSGIRequestHandler):
    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        stream = _Stream(self.connection, _SECONDS_TO_ASK)
        self.rfile, self.wfile = io.BufferedReader(stream), cast(Any, stream)
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.settimeout(_SECONDS_TO_ASK)
            self.connection.do_handshake()

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        server: Any = self.server
        server.connections.asked(self.request)
        return parsed

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - name of the base class
        """Log nothing: the output of the service belongs to the service."""


class _Stream(io.RawIOBase):
    """A connection with a limit on the time of all reads together, and on that of each write."""

    def __init__(self, connection: socket.socket, seconds_to_read: float) -> None:
        self._connection = connection
        self._read_until = monotonic() + seconds_to_read

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._wait_until(self._read_until)
        return self._connection.recv_into(buffer)

    def write(self, data: ReadableBuffer) -> int:
        left = memoryview(data).cast("B")
        size, until = len(left), monotonic() + _SECONDS_TO_RECEIVE
        while left:
            self._wait_until(until)
            left = left[self._connection.send(left) :]
        return size

    def _wait_until(self, deadline: float) -> None:
        seconds = deadline - monotonic()
        if seconds <= 0:
            raise TimeoutError
        self._connection.settimeout(seconds)


_running: WeakSet[Server] = WeakSet()


def _close_in_child() -> None:
    for server in tuple(_running):
        server.close_in_child()
    _running.clear()


forks.in_child(forks.Step.STATE, _close_in_child)
