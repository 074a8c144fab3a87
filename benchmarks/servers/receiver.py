"""Receives metrics over OTLP/HTTP and keeps the latest value of each series."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

Labels = frozenset[tuple[str, str]]


class OtlpReceiver:
    """A receiver on a free loopback port, within a `with` block."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Labels, Labels], int] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> OtlpReceiver:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The value for OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def count(self, metric: str) -> int:
        """Number of measurements in a histogram, over all processes."""
        with self._lock:
            return sum(count for (name, _, _), count in self._counts.items() if name == metric)

    def receive(self, request: ExportMetricsServiceRequest) -> None:
        """Keep the latest value: a later export of a cumulative series replaces the earlier one."""
        with self._lock:
            for resource in request.resource_metrics:
                identity = _labels(resource.resource.attributes)
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        self._keep(identity, metric)

    def _keep(self, identity: Labels, metric: Metric) -> None:
        for point in metric.histogram.data_points:
            self._counts[metric.name, identity, _labels(point.attributes)] = point.count


def _handler_of(receiver: OtlpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.receive(ExportMetricsServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            return

    return Handler


def _labels(attributes: Iterable[KeyValue]) -> Labels:
    return frozenset((attribute.key, str(attribute.value)) for attribute in attributes)
