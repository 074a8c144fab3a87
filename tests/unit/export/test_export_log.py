"""An absent Collector is told once, not at every attempt."""

import logging

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider

from trust_ops.stack.ports import free_ports
from trust_otel.export.export_log import REPEAT_SECONDS, Repeats, quieten
from trust_otel.export.periodic import PeriodicReader


def _record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("exporter", logging.WARNING, __file__, 1, message, arguments, None)


def test_a_message_passes_once_in_five_minutes_whatever_its_arguments() -> None:
    now = [0.0]
    repeats = Repeats(lambda: now[0])
    assert repeats.filter(_record("retrying in %.2fs", 0.9))
    assert not repeats.filter(_record("retrying in %.2fs", 1.8))
    assert repeats.filter(_record("another message"))
    now[0] = REPEAT_SECONDS
    assert repeats.filter(_record("retrying in %.2fs", 0.7))


def test_failed_exports_of_the_sdk_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    quieten()
    (port,) = free_ports(1)
    exporter = OTLPMetricExporter(f"http://127.0.0.1:{port}/v1/metrics", timeout=2)
    provider = MeterProvider([PeriodicReader(exporter, export_interval_millis=60_000)], shutdown_on_exit=False)
    provider.get_meter("test").create_counter("requests").add(1)
    for _ in range(2):
        provider.force_flush(5_000)
    provider.shutdown(2_000)
    told = [record.msg for record in caplog.records if record.name.startswith("opentelemetry.exporter")]
    assert told
    assert len(told) == len(set(told))
