"""An export counts as accepted only with an OTLP success response; failures are explained without secrets.

The tests use the exporters of the SDK (1.45.1 and 1.45.2) over real connections.
"""

from __future__ import annotations

import gc
import json
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.metrics.export import MetricsData

from tests.support.faulty_collector import HTTP, Exports, collector
from tests.support.otlp_endpoint import Response, endpoint
from trust_ops.doctor import examine
from trust_ops.stack.ports import free_ports
from trust_otel import settings
from trust_otel.export.otlp import SIGNALS, exporter_class, with_checked_responses

_SECRET = "hunter2"
_RESPONSES: dict[str, Any] = {
    "metrics": ExportMetricsServiceResponse,
    "traces": ExportTraceServiceResponse,
    "logs": ExportLogsServiceResponse,
}
_SERVICES = {
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
}


@contextmanager
def grpc_endpoint(response: Callable[[grpc.ServicerContext], Any]) -> Iterator[str]:
    """A gRPC server that handles every call of the three services."""
    with ThreadPoolExecutor() as threads:
        server = grpc.server(threads)
        for name in _SERVICES.values():
            method: Any = grpc.unary_unary_rpc_method_handler(
                lambda _request, context: response(context),
                response_serializer=lambda message: message.SerializeToString(),
            )
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"Export": method}),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"http://127.0.0.1:{port}"
        server.stop(None).wait()


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in settings.SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer%20{_SECRET}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3")


def _exported(signal: str, url: str, protocol: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether an exporter that checks responses reports an empty export as accepted."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    exporter = with_checked_responses(exporter_class(signal, protocol)())
    try:
        result = exporter.export(MetricsData([]) if signal == "metrics" else [])
    finally:
        exporter.shutdown()
    return bool(result.name == "SUCCESS")


def _partial(signal: str, rejected: int, message: str) -> bytes:
    response = _RESPONSES[signal]()
    for name in ("rejected_data_points", "rejected_spans", "rejected_log_records"):
        if name in response.partial_success.DESCRIPTOR.fields_by_name:
            setattr(response.partial_success, name, rejected)
    response.partial_success.error_message = message
    return bytes(response.SerializeToString())


_PROTOBUF = {"Content-Type": "application/x-protobuf"}
_JSON = {"Content-Type": "application/json; charset=utf-8"}
_HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize(
    "response",
    [
        Response(200, _PROTOBUF),
        Response(200),
        Response(202),
        Response(204),
        Response(200, _JSON, b"{}"),
        Response(200, _JSON, b'{"partialSuccess": {}}'),
    ],
)
def test_otlp_success_is_accepted(
    signal: str, response: Response, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with endpoint(response) as server:
        assert _exported(signal, server.url, "otlp_proto_http", monkeypatch)
    assert caplog.records == []
    assert server.requests[0][2]["authorization"] == f"Bearer {_SECRET}"


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize(
    ("response", "said"),
    [
        *(
            (
                Response(status, {"Location": f"https://u:{_SECRET}@login.test/in?token={_SECRET}"}),
                "a redirect to login.test",
            )
            for status in (301, 302, 303, 307, 308)
        ),
        (Response(300), "a redirect, which OTLP does not follow"),
        (Response(304), "304 Not Modified"),
        (Response(200, _HTML, b"<html>Please log in</html>"), "text/html instead of an OTLP response"),
        (Response(200, {"Content-Type": "text/plain"}, b"OK"), "text/plain instead of an OTLP response"),
        (Response(200, _PROTOBUF, b"<html>Please log in</html>"), "application/x-protobuf instead of an OTLP response"),
        (Response(200, {}, b"<html>"), "something instead of an OTLP response"),
        (Response(200, _JSON, b"[]"), "application/json instead of an OTLP response"),
        (Response(200, _JSON, b"{"), "application/json instead of an OTLP response"),
        (Response(400), "the endpoint answers 400 Bad Request"),
        (Response(401), "Unauthorized (check OTEL_EXPORTER_OTLP_HEADERS)"),
        (Response(403), "Forbidden (check OTEL_EXPORTER_OTLP_HEADERS)"),
        (Response(404), "Not Found (check the path"),
        (Response(500), "Internal Server Error"),
    ],
)
def test_other_responses_are_failures_and_logged(
    signal: str, response: Response, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with endpoint(response) as server:
        assert not _exported(signal, server.url, "otlp_proto_http", monkeypatch)
    assert [request[0] for request in server.requests] == ["POST"]
    (record,) = caplog.records
    assert said in record.getMessage()
    assert _SECRET not in caplog.text


@pytest.mark.parametrize("signal", SIGNALS)
def test_temporary_failures_are_retried(
    signal: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with endpoint(Response(503, {"Retry-After": "0"}), Response(429, {"Retry-After": "0"}), Response(200)) as server:
        assert _exported(signal, server.url, "otlp_proto_http", monkeypatch)
    assert len(server.requests) == 3
    assert caplog.records == []


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("form", ["protobuf", "json", "grpc"])
def test_rejected_data_is_logged_with_the_reason(
    signal: str, form: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    body = _partial(signal, 3, "out of order")
    if form == "grpc":
        with grpc_endpoint(lambda _: _RESPONSES[signal].FromString(body)) as url:
            assert _exported(signal, url, "otlp_proto_grpc", monkeypatch)
    else:
        json_body = json.dumps({"partialSuccess": {"rejectedSpans": "3", "errorMessage": "out of order"}}).encode()
        response = Response(200, _PROTOBUF, body) if form == "protobuf" else Response(200, _JSON, json_body)
        with endpoint(response) as server:
            assert _exported(signal, server.url, "otlp_proto_http", monkeypatch)
    (record,) = caplog.records
    assert "rejected 3" in record.getMessage()
    assert "out of order" in record.getMessage()


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("form", ["protobuf", "json", "grpc", "refused"])
def test_rejected_data_is_counted(signal: str, form: str, recording: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    body = _partial(signal, 3, "out of order")
    if form == "grpc":
        with grpc_endpoint(lambda _: _RESPONSES[signal].FromString(body)) as url:
            for _ in range(2):
                _exported(signal, url, "otlp_proto_grpc", monkeypatch)
    else:
        json_body = json.dumps({"partialSuccess": {"rejectedDataPoints": "3"}}).encode()
        response = Response(200, _JSON, json_body) if form == "json" else Response(200, _PROTOBUF, body)
        if form == "refused":
            response.status = 400
        with endpoint(response) as server:
            for _ in range(2):
                assert _exported(signal, server.url, "otlp_proto_http", monkeypatch) == (form != "refused")
    assert recording.dropped() == {"rejected": 6}


@pytest.mark.parametrize(
    "response",
    [
        Response(200, _PROTOBUF, _partial("metrics", 0, "a warning")),
        Response(200, _PROTOBUF, _partial("metrics", -5, "odd")),
        Response(400, _JSON, b'{"code": 3, "message": "no unit"}'),
        Response(400, _PROTOBUF, b"\x08\x03\x12\x07no unit"),
        Response(400, _JSON, b"[1]"),
        Response(400, _JSON, b"\xff{"),
        Response(404, _HTML, b"<html>"),
    ],
    ids=range(7),
)
def test_response_without_a_number_of_rejected_data_counts_nothing(
    response: Response, recording: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with endpoint(response) as server:
        _exported("metrics", server.url, "otlp_proto_http", monkeypatch)
    assert recording.dropped() == {}


def test_refusal_that_is_retried_is_not_counted(recording: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    body = _partial("metrics", 3, "")
    with endpoint(Response(429, {**_PROTOBUF, "Retry-After": "0"}, body), Response(200)) as server:
        assert _exported("metrics", server.url, "otlp_proto_http", monkeypatch)
    assert recording.dropped() == {}


def test_wrong_number_of_rejected_data_leaves_the_counter_exportable(
    recording: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps({"partialSuccess": {"rejectedDataPoints": 10**30}}).encode()
    with endpoint(Response(200, _JSON, body)) as server:
        _exported("metrics", server.url, "otlp_proto_http", monkeypatch)
    assert 0 < recording.dropped()["rejected"] < 2**63


@pytest.mark.parametrize("grpc_used", [False, True])
def test_reason_that_quotes_a_header_is_not_logged(
    grpc_used: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    body = _partial("metrics", 1, f"no such tenant: {_SECRET}")
    if grpc_used:
        with grpc_endpoint(lambda _: ExportMetricsServiceResponse.FromString(body)) as url:
            _exported("metrics", url, "otlp_proto_grpc", monkeypatch)
    else:
        with endpoint(Response(200, _PROTOBUF, body)) as server:
            _exported("metrics", server.url, "otlp_proto_http", monkeypatch)
    assert "rejected 1" in caplog.text
    assert _SECRET not in caplog.text


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize(
    ("code", "details", "said"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, f"bad token {_SECRET}", "UNAUTHENTICATED: check OTEL_EXPORTER_OTLP_HEADERS"),
        (grpc.StatusCode.INVALID_ARGUMENT, "no unit", "INVALID_ARGUMENT: no unit"),
        (grpc.StatusCode.INVALID_ARGUMENT, f"no {_SECRET}", "its text is not shown"),
        (grpc.StatusCode.UNKNOWN, f"no {_SECRET}", "its text is not shown"),
        (grpc.StatusCode.UNIMPLEMENTED, "", "does not accept this signal"),
    ],
)
def test_grpc_errors_are_explained(
    signal: str,
    code: grpc.StatusCode,
    details: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with grpc_endpoint(lambda context: context.abort(code, details)) as url:
        assert not _exported(signal, url, "otlp_proto_grpc", monkeypatch)
    (record,) = [record for record in caplog.records if record.name.startswith(("opentelemetry.", "trust_otel."))]
    assert said in record.getMessage()
    assert _SECRET not in record.getMessage()
    assert record.exc_info is None


def test_invalid_grpc_header_is_a_failure_without_its_value(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer%0a{_SECRET}")
    with grpc_endpoint(lambda _: ExportMetricsServiceResponse()) as url:
        assert not _exported("metrics", url, "otlp_proto_grpc", monkeypatch)
    assert "check OTEL_EXPORTER_OTLP_HEADERS" in caplog.text
    assert _SECRET not in caplog.text


def test_http_library_does_not_log_the_url(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with endpoint(Response(200)) as server:
        address = server.url.replace("//", f"//user:{_SECRET}@")
        assert _exported("metrics", f"{address}/?api_key={_SECRET}&x=", "otlp_proto_http", monkeypatch)
    (closed,) = free_ports(1)
    assert not _exported("metrics", f"http://127.0.0.1:{closed}/?api_key={_SECRET}&x=", "otlp_proto_http", monkeypatch)
    assert "cannot be exported: the connection is refused" in caplog.text
    assert _SECRET not in caplog.text


@pytest.mark.parametrize("protocol", ["otlp_proto_http", "otlp_proto_grpc"])
@pytest.mark.parametrize("listening", [False, True])
def test_failed_exports_leave_nothing_behind(protocol: str, listening: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.05")
        if not listening:
            silent.close()
        exporter = with_checked_responses(exporter_class("metrics", protocol)())

        def left_after(exports: int) -> tuple[int, int, int]:
            for _ in range(exports):
                assert exporter.export(MetricsData([])).name == "FAILURE"
            gc.collect()
            process = psutil.Process()
            return process.num_fds(), process.num_threads(), len(gc.get_objects())

        descriptors, threads, objects = left_after(10)
        later = left_after(60)
        exporter.shutdown()
    assert later[0] <= descriptors + 2
    assert later[1] <= threads + 2
    # Fewer than one per export.
    assert later[2] < objects + 30


def test_connection_is_kept_between_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    with collector(HTTP, port, Exports()) as exports:
        exporter = with_checked_responses(exporter_class("metrics", "otlp_proto_http")())
        for _ in range(3):
            assert exporter.export(MetricsData([])).name == "SUCCESS"
        exporter.shutdown()
    assert (exports.requests, exports.connections) == (3, 1)


def test_exporter_of_the_service_is_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(Response(302, {"Location": "/"})) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        exporter_of_the_service = exporter_class("metrics", "otlp_proto_http")()
        assert not _exported("metrics", server.url, "otlp_proto_http", monkeypatch)
        assert exporter_of_the_service.export(MetricsData([])).name == "SUCCESS"
        exporter_of_the_service.shutdown()


# What `trust-otel doctor` says of an endpoint.


def _problems(environment: dict[str, str]) -> dict[str, str | None]:
    found = {
        finding.name: finding.seen if finding.status == "error" else None
        for finding in examine(environment)
        if finding.step in ("endpoint", "setting")
    }
    assert _SECRET not in str(found)
    return {name: problem for name, problem in found.items() if name in SIGNALS}


def _chosen(url: str, protocol: str = "http/protobuf", **more: str) -> dict[str, str]:
    exporters = {f"OTEL_{signal.upper()}_EXPORTER": "otlp" for signal in SIGNALS}
    return {
        **exporters,
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_HEADERS": f"api-key={_SECRET}",
        **more,
    }


def test_doctor_sends_an_export_of_each_signal_with_headers_and_compression() -> None:
    with endpoint(Response(200)) as server:
        found = _problems(_chosen(server.url, OTEL_EXPORTER_OTLP_COMPRESSION="gzip"))
    assert found == dict.fromkeys(SIGNALS)
    assert [(method, path) for method, path, _ in server.requests] == [("POST", f"/v1/{signal}") for signal in SIGNALS]
    assert all(headers["api-key"] == _SECRET for _, _, headers in server.requests)
    assert all(headers["Content-Encoding"] == "gzip" for _, _, headers in server.requests)


def test_doctor_checks_only_enabled_signals() -> None:
    with endpoint(Response(200)) as server:
        environment = _chosen(server.url, OTEL_TRACES_EXPORTER="none", OTEL_LOGS_EXPORTER="console")
        assert _problems(environment) == {"metrics": None}


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (Response(302, {"Location": f"https://login.test/?x={_SECRET}"}), "a redirect to login.test"),
        (Response(401), "401 Unauthorized (check OTEL_EXPORTER_OTLP_HEADERS)"),
        (Response(404), "404 Not Found (check the path"),
        (Response(503), "503 Service Unavailable"),
        (Response(200, _HTML, b"<html>"), "a proxy or a login page"),
    ],
)
def test_doctor_reports_the_response_of_an_endpoint(response: Response, said: str) -> None:
    with endpoint(response) as server:
        for problem in _problems(_chosen(server.url)).values():
            assert said in str(problem)


def test_doctor_reports_why_there_is_no_response(tmp_path: Path) -> None:
    (closed,) = free_ports(1)
    for protocol in ("http/protobuf", "grpc"):
        found = _problems(_chosen(f"http://127.0.0.1:{closed}", protocol))
        assert set(found.values()) == {"the connection is refused: nothing listens there"}
        found = _problems(_chosen("http://no-such-host.invalid:4318", protocol))
        assert set(found.values()) == {"the name of the host cannot be resolved"}


def test_doctor_recognizes_the_other_protocol() -> None:
    with grpc_endpoint(lambda _: ExportMetricsServiceResponse()) as url:
        assert all("OTEL_EXPORTER_OTLP_PROTOCOL" in str(problem) for problem in _problems(_chosen(url)).values())
    with endpoint(Response(200)) as server:
        found = _problems(_chosen(server.url, "grpc"))
        assert all("OTEL_EXPORTER_OTLP_PROTOCOL" in str(problem) for problem in found.values())


def _authority(tmp_path: Path) -> ssl.SSLContext:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
    return context


def test_doctor_reports_tls_errors(tmp_path: Path) -> None:
    with endpoint(Response(200), context=_authority(tmp_path)) as server:
        assert all("TLS: " in str(problem) for problem in _problems(_chosen(server.url)).values())
        trusted = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.pem")}
        assert _problems(_chosen(server.url, **trusted)) == dict.fromkeys(SIGNALS)
        plain = _problems(_chosen(server.url.replace("https", "http")))
        assert all("https://" in str(problem) or "closed" in str(problem) for problem in plain.values())
        missing = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / _SECRET)}
        found = _problems(_chosen(server.url, **missing))
        assert all("a certificate file cannot be read" in str(problem) for problem in found.values())
    with endpoint(Response(200)) as server:
        found = _problems(_chosen(server.url.replace("http", "https")))
        assert all("does not speak TLS" in str(problem) for problem in found.values())


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_certificate_setting_precedes_the_bundle_of_requests(tmp_path: Path, variable: str) -> None:
    context = _authority(tmp_path)
    (tmp_path / "other").mkdir()
    _authority(tmp_path / "other")
    with endpoint(Response(200), context=context) as server:
        chosen = _chosen(server.url, **{variable: str(tmp_path / "other" / "ca.pem")})
        assert all("not trusted" in str(problem) for problem in _problems(chosen).values())
        chosen["OTEL_EXPORTER_OTLP_CERTIFICATE"] = str(tmp_path / "ca.pem")
        assert _problems(chosen) == dict.fromkeys(SIGNALS)


def test_doctor_has_a_timeout() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        environment = _chosen(
            f"http://127.0.0.1:{silent.getsockname()[1]}", OTEL_TRACES_EXPORTER="none", OTEL_LOGS_EXPORTER="none"
        )
        assert _problems(environment) == {"metrics": "no response in time"}
