"""Readers and exporters for each value of OTEL_METRICS_EXPORTER, and what they export."""

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricReader
from opentelemetry.sdk.resources import Resource

from trust_otel import TrustServiceMetrics, settings
from trust_otel.configurator import make_readers, make_views
from trust_otel.export.periodic import PeriodicReader
from trust_otel.export.prometheus.reader import PrometheusReader
from trust_otel.semconv.metrics import ALL


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in settings.SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1")
    monkeypatch.setenv("OTEL_EXPORTER_PROMETHEUS_PORT", "0")


def _stop(readers: list[Any]) -> None:
    for reader in readers:
        MeterProvider([reader], shutdown_on_exit=False).shutdown()


def _exporter(reader: Any) -> Any:
    return reader._exporter


def _readers(*exporters: str) -> list[MetricReader]:
    return make_readers(replace(settings.current(), metrics_exporters=exporters))


def test_none_has_no_reader() -> None:
    assert _readers() == []


def test_prometheus_serves_an_endpoint() -> None:
    readers = _readers("prometheus")
    assert [type(reader) for reader in readers] == [PrometheusReader]
    _stop(readers)


def test_scope_labels_and_web_config_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n")
    monkeypatch.setenv("TRUST_OTEL_PROMETHEUS_SCOPE_LABELS", "true")
    monkeypatch.setenv("TRUST_OTEL_PROMETHEUS_WEB_CONFIG", str(tmp_path / "web.yml"))
    (reader,) = _readers("prometheus")
    assert isinstance(reader, PrometheusReader)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    provider.get_meter("m").create_counter("c").add(1)
    with urlopen(f"http://127.0.0.1:{reader.port}/metrics", timeout=5) as answer:
        assert b'otel_scope_name="m"' in answer.read()
        assert answer.headers["X-Frame-Options"] == "deny"
    provider.shutdown()


def test_endpoint_does_not_start_with_an_invalid_web_config(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "hunter2.yml").write_text("basic_auth_users: {me: hunter2}\n")
    monkeypatch.setenv("TRUST_OTEL_PROMETHEUS_WEB_CONFIG", str(tmp_path / "hunter2.yml"))
    assert _readers("prometheus") == []
    (record,) = caplog.records
    assert "TRUST_OTEL_PROMETHEUS_WEB_CONFIG is invalid: entry 1 of basic_auth_users" in record.getMessage()
    assert "htpasswd" in record.getMessage()
    assert "hunter2" not in caplog.text


def test_otlp_exports_over_http_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_TIMEOUT", "100")
    (reader,) = _readers("otlp")
    assert type(reader) is PeriodicReader
    assert "proto.http" in type(_exporter(reader)).__module__
    _exporter(reader).shutdown()
    _stop([reader])


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"])
def test_otlp_exports_over_grpc_if_configured(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_TIMEOUT", "100")
    (reader,) = _readers("otlp")
    assert "proto.grpc" in type(_exporter(reader)).__module__
    _exporter(reader).shutdown()
    _stop([reader])


def test_console_and_prometheus_together() -> None:
    readers = _readers("console", "prometheus")
    assert isinstance(_exporter(readers[0]), ConsoleMetricExporter)
    console = _exporter(readers[0]).out = StringIO()
    provider = MeterProvider(readers, shutdown_on_exit=False)
    provider.get_meter("m").create_counter("seen.on.the.console").add(1)
    provider.shutdown()
    assert "seen.on.the.console" in console.getvalue()


def test_exporter_that_fails_to_start_is_logged_and_the_others_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from trust_otel import configurator
    from trust_otel.export.otlp import exporter_class as genuine

    def broken(signal: str, name: str) -> Any:
        if name == "otlp":
            raise RuntimeError("no such address: http://u:hunter2@collector")
        return genuine(signal, name)

    monkeypatch.setattr(configurator, "exporter_class", broken)
    readers = _readers("otlp", "prometheus")
    assert [type(reader) for reader in readers] == [PrometheusReader]
    assert "are not exported to 'otlp'" in caplog.text
    assert "RuntimeError at " in caplog.text
    assert "hunter2" not in caplog.text
    _stop(readers)


def test_port_in_use_is_logged_with_a_remedy(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("OTEL_EXPORTER_PROMETHEUS_PORT", str(port))
        assert _readers("prometheus") == []
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert f"127.0.0.1:{port}" in record.getMessage()
    assert "OTEL_EXPORTER_PROMETHEUS_PORT" in record.getMessage()


def test_host_of_another_machine_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_PROMETHEUS_HOST", "host.invalid")
    assert _readers("prometheus") == []
    assert "host.invalid" in caplog.text


class Receiver:
    """Receives OTLP; keeps the requests with headers and time."""

    def __init__(self) -> None:
        self.received: list[tuple[Any, dict[str, str], float]] = []
        self._changed = threading.Condition()
        self.endpoint = ""

    def take(self, request: Any, headers: dict[str, str]) -> None:
        with self._changed:
            self.received.append((request, headers, time.monotonic()))
            self._changed.notify_all()

    def wait(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= number, timeout=10)

    def metrics(self, which: int = -1) -> dict[str, Any]:
        return {
            metric.name: metric
            for resource in self.received[which][0].resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def over_http() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/v1/metrics"
            receiver.take(
                metrics_service_pb2.ExportMetricsServiceRequest.FromString(body),
                {name.lower(): value for name, value in self.headers.items()},
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    receiver.endpoint = f"http://127.0.0.1:{server.server_port}"
    yield receiver
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def over_grpc() -> Iterator[Receiver]:
    receiver = Receiver()

    class Servicer(metrics_service_pb2_grpc.MetricsServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
            receiver.take(request, dict(context.invocation_metadata()))
            return metrics_service_pb2.ExportMetricsServiceResponse()

    with ThreadPoolExecutor(2) as workers:
        server = grpc.server(workers)
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Servicer(), server)
        receiver.endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        yield receiver
        server.stop(0).wait()


def _sending(monkeypatch: pytest.MonkeyPatch, **variables: str) -> tuple[MeterProvider, TrustServiceMetrics]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    provider = MeterProvider(
        _readers("otlp"),
        Resource({"service.name": "sender"}),
        views=make_views(ALL.values(), settings.current().limits),
        shutdown_on_exit=False,
    )
    return provider, TrustServiceMetrics(provider, limits=settings.Settings.from_environment({}).limits)


def _record(metrics: TrustServiceMetrics) -> None:
    metrics.record_business_metric("revenue", 12.5, {"currency": "EUR"})
    metrics.session_started()
    with metrics.certificate_operation("validation"):
        pass


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_recorded_metrics_arrive(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, protocol: str
) -> None:
    receiver: Receiver = request.getfixturevalue("over_grpc" if protocol == "grpc" else "over_http")
    provider, metrics = _sending(
        monkeypatch,
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
        OTEL_EXPORTER_OTLP_INSECURE="true",
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20secret,x-tenant=t1",
    )
    _record(metrics)
    provider.force_flush()
    request_, headers, _ = receiver.received[-1]
    assert (headers["authorization"], headers["x-tenant"]) == ("Bearer secret", "t1")
    (attribute,) = request_.resource_metrics[0].resource.attributes
    assert (attribute.key, attribute.value.string_value) == ("service.name", "sender")
    arrived = receiver.metrics()
    revenue = arrived["trust.revenue.amount"].sum
    assert revenue.is_monotonic
    assert revenue.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    assert revenue.data_points[0].as_double == 12.5
    duration = arrived["trust.certificate.operation.duration"].histogram.data_points[0]
    assert tuple(duration.explicit_bounds) == ALL["trust.certificate.operation.duration"].buckets
    provider.shutdown()


@pytest.mark.parametrize(
    ("preference", "counter", "up_down_counter"),
    [("cumulative", 2, 2), ("delta", 1, 2), ("DELTA", 1, 2), ("lowmemory", None, 2)],
)
def test_temporality_follows_the_preference(
    monkeypatch: pytest.MonkeyPatch, over_http: Receiver, preference: str, counter: int | None, up_down_counter: int
) -> None:
    provider, metrics = _sending(
        monkeypatch,
        OTEL_EXPORTER_OTLP_ENDPOINT=over_http.endpoint,
        OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=preference,
    )
    for _ in range(2):
        _record(metrics)
        provider.force_flush()
    arrived = over_http.metrics()
    revenue = arrived["trust.revenue.amount"].sum
    if counter is not None:
        assert revenue.aggregation_temporality == counter
        assert revenue.data_points[0].as_double == (12.5 if counter == 1 else 25)
        duration = arrived["trust.certificate.operation.duration"].histogram
        assert duration.aggregation_temporality == counter
        assert duration.data_points[0].count == (1 if counter == 1 else 2)
    assert arrived["trust.session.active"].sum.aggregation_temporality == up_down_counter
    provider.shutdown()


def test_exports_repeat_at_the_interval(monkeypatch: pytest.MonkeyPatch, over_http: Receiver) -> None:
    provider, metrics = _sending(
        monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=over_http.endpoint, OTEL_METRIC_EXPORT_INTERVAL="100"
    )
    _record(metrics)
    over_http.wait(4)
    times = [moment for _, _, moment in over_http.received]
    assert 0.2 <= times[3] - times[0] < 2
    provider.shutdown()


def test_endpoint_for_metrics_is_used_unchanged(monkeypatch: pytest.MonkeyPatch, over_http: Receiver) -> None:
    provider, metrics = _sending(
        monkeypatch,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{over_http.endpoint}/v1/metrics",
    )
    _record(metrics)
    provider.force_flush()
    assert "trust.revenue.amount" in over_http.metrics()
    provider.shutdown()


def test_last_measurements_arrive_at_shutdown(monkeypatch: pytest.MonkeyPatch, over_http: Receiver) -> None:
    provider, metrics = _sending(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=over_http.endpoint)
    _record(metrics)
    provider.shutdown()
    assert over_http.metrics()["trust.revenue.amount"].sum.data_points[0].as_double == 12.5


def test_new_series_starts_at_the_previous_collection(monkeypatch: pytest.MonkeyPatch, over_http: Receiver) -> None:
    """Otherwise `increase()` over the first security event is 0."""
    provider, metrics = _sending(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=over_http.endpoint)
    provider.force_flush()
    between = time.time_ns()
    metrics.record_security_incident("credential_stuffing", severity="critical")
    provider.force_flush()
    (point,) = over_http.metrics()["trust.security.incidents"].sum.data_points
    assert point.start_time_unix_nano <= between < point.time_unix_nano
    assert between - point.start_time_unix_nano < 5e9
    provider.shutdown()


def test_hostile_values_do_not_stop_the_export(monkeypatch: pytest.MonkeyPatch, over_http: Receiver) -> None:
    provider, metrics = _sending(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=over_http.endpoint)
    metrics.record_rate_limited("\ud800\x00\n")
    metrics.record_business_metric("fee", 10**300, {"currency": "\udcff"})
    provider.force_flush()
    arrived = over_http.metrics()
    json.dumps(arrived["trust.security.rate_limited"].sum.data_points[0].attributes[0].value.string_value)
    assert arrived["trust.fee.amount"].sum.data_points[0].as_double == 1e300
    provider.shutdown()
