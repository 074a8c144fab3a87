"""Export errors are logged once in 5 minutes, not at every attempt."""

import logging

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider

from trust_ops.stack.ports import free_ports
from trust_otel.export.log_rate_limit import REPEAT_SECONDS, RateLimit, rate_limit_export_errors
from trust_otel.export.periodic import PeriodicReader


def _record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("exporter", logging.WARNING, __file__, 1, message, arguments, None)


def test_message_passes_once_in_five_minutes_regardless_of_its_arguments() -> None:
    now = [0.0]
    rate_limit = RateLimit(lambda: now[0])
    assert rate_limit.filter(_record("retrying in %.2fs", 0.9))
    assert not rate_limit.filter(_record("retrying in %.2fs", 1.8))
    assert rate_limit.filter(_record("another message"))
    now[0] = REPEAT_SECONDS
    assert rate_limit.filter(_record("retrying in %.2fs", 0.7))


def test_export_errors_of_the_sdk_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    rate_limit_export_errors()
    (port,) = free_ports(1)
    exporter = OTLPMetricExporter(f"http://127.0.0.1:{port}/v1/metrics", timeout=2)
    provider = MeterProvider([PeriodicReader(exporter, export_interval_millis=60_000)], shutdown_on_exit=False)
    provider.get_meter("test").create_counter("requests").add(1)
    for _ in range(2):
        provider.force_flush(5_000)
    provider.shutdown(2_000)
    messages = [record.msg for record in caplog.records if record.name.startswith("opentelemetry.exporter")]
    assert messages
    assert len(messages) == len(set(messages))
