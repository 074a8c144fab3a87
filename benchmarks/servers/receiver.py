"""Receives metrics over OTLP and keeps the latest value of each series."""

from __future__ import annotations

import gzip
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

import grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

Labels = frozenset[tuple[str, str]]


class LatestValues:
    """The latest value of each series that was received."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Labels, Labels], int] = {}
        self.refused = 0
        """Number of requests that could not be read."""
        self._lock = threading.Lock()

    def count(self, metric: str) -> int:
        """Sum of a metric over all processes: of its values, or of the counts of a histogram."""
        return sum(self.values(metric))

    def values(self, metric: str) -> tuple[int, ...]:
        """The latest value, or count, of each series of a metric."""
        with self._lock:
            return tuple(count for (name, _, _), count in self._counts.items() if name == metric)

    def by(self, metric: str, *attributes: str) -> dict[tuple[str, ...], int]:
        """Sum of a metric, as `count`, for each combination of values of the attributes; "" for one that is absent."""
        found: Counter[tuple[str, ...]] = Counter()
        with self._lock:
            for (name, _, labels), count in self._counts.items():
                if name == metric:
                    values = dict(labels)
                    found[tuple(values.get(attribute, "") for attribute in attributes)] += count
        return dict(found)

    def series(self) -> int:
        """Number of series of all metrics and processes; a histogram is one."""
        with self._lock:
            return len(self._counts)

    def receive(self, request: ExportMetricsServiceRequest) -> None:
        """Keep the latest value: a later export of a cumulative series replaces the earlier one."""
        with self._lock:
            for resource in request.resource_metrics:
                identity = _labels(resource.resource.attributes)
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        self._keep(identity, metric)

    def _keep(self, identity: Labels, metric: Metric) -> None:
        for measured in metric.histogram.data_points:
            self._counts[metric.name, identity, _labels(measured.attributes)] = measured.count
        for point in (*metric.sum.data_points, *metric.gauge.data_points):
            self._counts[metric.name, identity, _labels(point.attributes)] = point.as_int or int(point.as_double)


class OtlpReceiver(LatestValues):
    """A receiver of OTLP/HTTP on a free loopback port, within a `with` block."""

    def __init__(self) -> None:
        super().__init__()
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


class GrpcReceiver(LatestValues):
    """A receiver of OTLP/gRPC on a free loopback port, within a `with` block."""

    def __init__(self) -> None:
        super().__init__()
        self._server = grpc.server(ThreadPoolExecutor(8))
        receiver = self

        class Servicer(MetricsServiceServicer):
            def Export(self, request: ExportMetricsServiceRequest, context: object) -> ExportMetricsServiceResponse:  # noqa: N802
                receiver.receive(request)
                return ExportMetricsServiceResponse()

        add_MetricsServiceServicer_to_server(Servicer(), self._server)  # type: ignore[no-untyped-call]
        self._port = self._server.add_insecure_port("127.0.0.1:0")

    def __enter__(self) -> GrpcReceiver:
        self._server.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._server.stop(None).wait()

    @property
    def url(self) -> str:
        """The value for OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self._port}"


def _handler_of(receiver: OtlpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # Keeps connections alive, as a Collector does.
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.receive(ExportMetricsServiceRequest.FromString(body))
            except Exception:
                receiver.refused += 1
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
            receiver.refused += 1
            super().send_error(code, message, explain)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            return

    return Handler


def _labels(attributes: Iterable[KeyValue]) -> Labels:
    return frozenset((attribute.key, _text(attribute.value)) for attribute in attributes)


def _text(value: AnyValue) -> str:
    kind = value.WhichOneof("value")
    return "" if kind is None else str(getattr(value, kind))
