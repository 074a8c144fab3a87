"""Helpers to send data to the real Collector, and to wait for results."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from trust_ops.stack import Addresses


@contextmanager
def sdk(addresses: Addresses, resource: Mapping[str, str], *, grpc: bool = False) -> Iterator[MeterProvider]:
    """The OpenTelemetry SDK, which exports on flush and at the end of the block."""
    exporter: MetricExporter
    if grpc:
        exporter = GrpcExporter(endpoint=addresses.otlp_grpc)
    else:
        exporter = HttpExporter(endpoint=f"{addresses.otlp_http}/v1/metrics")
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=math.inf)
    provider = MeterProvider(metric_readers=[reader], resource=Resource(resource), shutdown_on_exit=False)
    try:
        yield provider
        assert provider.force_flush()
    finally:
        provider.shutdown()


def counter_request(
    name: str, attributes: Mapping[str, str], *, value: int = 1, timestamp: float | None = None
) -> ExportMetricsServiceRequest:
    """An OTLP request with one point of a counter; `timestamp` in Unix seconds, by default now."""
    now = time.time() if timestamp is None else timestamp
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    service = resource.resource.attributes.add(key="service.name")
    service.value.string_value = "sender"
    metric = resource.scope_metrics.add().metrics.add(name=name)
    metric.sum.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
    metric.sum.is_monotonic = True
    point = metric.sum.data_points.add(
        as_int=value, start_time_unix_nano=int((now - 1) * 1e9), time_unix_nano=int(now * 1e9)
    )
    for key, text in attributes.items():
        point.attributes.add(key=key).value.string_value = text
    return request


def send(addresses: Addresses, request: ExportMetricsServiceRequest) -> bool:
    """Send a request to the Collector; returns whether it was accepted."""
    try:
        answer = httpx.post(
            f"{addresses.otlp_http}/v1/metrics",
            content=request.SerializeToString(),
            headers={"content-type": "application/x-protobuf"},
            trust_env=False,
        )
    except httpx.TransportError:
        return False
    return answer.is_success


def eventually(read: Callable[[], object], expected: object, seconds: float = 30) -> None:
    """Assert that `read()` becomes `expected` in time."""
    deadline = time.monotonic() + seconds
    while (found := read()) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == expected


def processes_of(directory: Path) -> list[psutil.Process]:
    """The processes with the folder as working directory or on their command line."""
    return [process for process in psutil.process_iter() if _belongs(process, directory)]


def _belongs(process: psutil.Process, directory: Path) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.cwd() == str(directory) or str(directory) in process.cmdline()
    except psutil.Error:
        return False
