"""An OTLP endpoint for metrics, over HTTP or gRPC, that refuses, delays or never answers while a test wants it to."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

GRPC, HTTP = "grpc", "http/protobuf"

_SERVICE = "opentelemetry.proto.collector.metrics.v1.MetricsService"
_GRPC_CODES = {429: grpc.StatusCode.RESOURCE_EXHAUSTED, 503: grpc.StatusCode.UNAVAILABLE}


@dataclass
class Exports:
    """What an endpoint does with exports, and has accepted.

    Attributes:
        refusal: HTTP status of a refusal, as the code of gRPC that has the same meaning; 0 to accept.
        retry_after: Seconds that a refusal asks to wait.
        answering: Cleared to leave requests without an answer.
        delay: Seconds until an answer.
        unanswered: How many of the next requests never get an answer.
        rejected: How many data points of the next accepted request are rejected.
        requests: Number of requests.
        connections: Number of connections, over HTTP.
        accepted: The accepted requests.
    """

    refusal: int = 0
    retry_after: int | None = None
    answering: threading.Event = field(default_factory=threading.Event)
    delay: float = 0
    unanswered: int = 0
    rejected: int = 0
    requests: int = 0
    connections: int = 0
    accepted: list[ExportMetricsServiceRequest] = field(default_factory=list)
    _closed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.answering.set()

    def take(self, content: bytes) -> int:
        """The status of the answer to a request."""
        self.requests += 1
        if self.unanswered:
            self.unanswered -= 1
            self._closed.wait()
        while not self.answering.wait(0.05) and not self._closed.is_set():
            pass
        self._closed.wait(self.delay)
        if not self.refusal:
            self.accepted.append(ExportMetricsServiceRequest.FromString(content))
        return self.refusal or 200

    def answer(self) -> ExportMetricsServiceResponse:
        """The answer to an accepted request."""
        rejected, self.rejected = self.rejected, 0
        return ExportMetricsServiceResponse(partial_success=ExportMetricsPartialSuccess(rejected_data_points=rejected))

    def values(self, name: str) -> list[float]:
        """The sum over all series of a metric, in each accepted request with the metric."""
        return [
            sum(point.as_int or point.as_double for point in points)
            for request in tuple(self.accepted)
            if (points := _points(request, name))
        ]

    def times(self) -> Iterator[tuple[int, int]]:
        """Start time and time of every accepted point that has a start time."""
        for request in tuple(self.accepted):
            for metric in _metrics(request):
                for point in getattr(metric, str(metric.WhichOneof("data"))).data_points:
                    if point.start_time_unix_nano:
                        yield point.start_time_unix_nano, point.time_unix_nano

    def first_point(self, name: str, action: str) -> tuple[int, int]:
        """Start time and time of the first accepted point of a counter with this audit action."""
        return next(
            (point.start_time_unix_nano, point.time_unix_nano)
            for request in self.accepted
            for point in _points(request, name)
            if any(each.value.string_value == action for each in point.attributes)
        )

    def close(self) -> None:
        """Let waiting requests end."""
        self._closed.set()


def _metrics(request: ExportMetricsServiceRequest) -> Iterator[Any]:
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            yield from scope.metrics


def _points(request: ExportMetricsServiceRequest, name: str) -> list[Any]:
    return [point for metric in _metrics(request) if metric.name == name for point in metric.sum.data_points]


@dataclass(frozen=True)
class Certificate:
    """Files of a self-signed certificate."""

    certificate: Path
    key: Path


def self_signed(folder: Path, *, address: str = "127.0.0.1", days: tuple[int, int] = (-1, 1)) -> Certificate:
    """A self-signed certificate for an address.

    Args:
        folder: Where its files are created.
        address: The address.
        days: Begin and end of its validity, in days from now.
    """
    folder.mkdir()
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, folder.name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    made.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made


@contextmanager
def collector(protocol: str, port: int, exports: Exports, certificate: Certificate | None = None) -> Iterator[Exports]:
    """Serve on a port of 127.0.0.1, with TLS if there is a certificate."""
    serve = _serve_grpc if protocol == GRPC else _serve_http
    stop = serve(port, exports, certificate)
    try:
        yield exports
    finally:
        exports.close()
        stop()


def _serve_http(port: int, exports: Exports, certificate: Certificate | None) -> Callable[[], None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            compressed = self.headers["Content-Encoding"] == "gzip"
            status = exports.take(gzip.decompress(body) if compressed else body)
            answer = exports.answer().SerializeToString() if status == 200 else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Content-Type", "application/x-protobuf")
            if status != 200 and exports.retry_after is not None:
                self.send_header("Retry-After", str(exports.retry_after))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    connections: list[socket.socket] = []

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def process_request(self, request: Any, client_address: Any) -> None:
            connections.append(request)
            exports.connections += 1
            super().process_request(request, client_address)

        def handle_error(self, *_: object) -> None:
            """A client that refuses the certificate, or does not wait for the answer, is no error here."""

    server = Server(("127.0.0.1", port), Handler)
    if certificate is not None:
        context = SSLContext(PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def stop() -> None:
        server.shutdown()
        thread.join()
        server.server_close()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    return stop


def _serve_grpc(port: int, exports: Exports, certificate: Certificate | None) -> Callable[[], None]:
    threads = ThreadPoolExecutor()
    server = grpc.server(threads, options=[("grpc.so_reuseport", 0)])

    def export(request: bytes, context: grpc.ServicerContext) -> ExportMetricsServiceResponse:
        status = exports.take(request)
        if status != 200:
            if exports.retry_after is not None:
                delay = RetryInfo(retry_delay=Duration(seconds=exports.retry_after)).SerializeToString()
                context.set_trailing_metadata((("google.rpc.retryinfo-bin", delay),))
            context.abort(_GRPC_CODES[status], "try later")
        return exports.answer()

    method: Any = grpc.unary_unary_rpc_method_handler(
        export, response_serializer=lambda message: message.SerializeToString()
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Export": method}),))
    address = f"127.0.0.1:{port}"
    if certificate is None:
        server.add_insecure_port(address)
    else:
        pair = (certificate.key.read_bytes(), certificate.certificate.read_bytes())
        server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    server.start()

    def stop() -> None:
        server.stop(None).wait()
        threads.shutdown()

    return stop
